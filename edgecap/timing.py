"""Timing several exported files fairly: side by side, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edgecap_runtime import Caption, Captioner

_ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Medians over photographs and rounds, milliseconds, greedy."""

    encode: float
    """Encoder and first state, of one photograph."""

    word: float
    """One step, with the search around it."""

    caption: float
    """All of a caption: preparation, encoder and words."""


def time_files(
    files: Mapping[str, Path],
    photos: Sequence[Path],
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Timing]:
    """Open all files and let them caption in turns, each turn after a warm-up.

    Args:
        files: names and exported files.
        photos: each file captions every one in each turn.
        threads: of the interpreters.
        progress: called with (turns done, turns in all).
    """
    tell = progress or (lambda done, total: None)
    total = len(files) * _ROUNDS
    made: dict[str, list[Caption]] = {name: [] for name in files}
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(Captioner.load(path, threads=threads))
            for name, path in files.items()
        }
        for turn in range(_ROUNDS):
            for place, (name, captioner) in enumerate(opened.items()):
                tell(turn * len(files) + place, total)
                captioner.caption(photos[0], beam=1)  # warm: another interpreter was at work
                made[name] += [captioner.caption(photo, beam=1) for photo in photos]
    tell(total, total)
    return {name: _medians(captions) for name, captions in made.items()}


def _medians(captions: Sequence[Caption]) -> Timing:
    times = [caption.timings for caption in captions]
    return Timing(
        encode=statistics.median(time.encode for time in times),
        word=statistics.median(time.per_step for time in times),
        caption=statistics.median(time.prepare + time.encode + time.decode for time in times),
    )
