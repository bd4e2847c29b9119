"""Timing several exported files fairly: side by side, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgecap_runtime import Caption, Captioner

_ROUNDS = 5
_DISTURBING = 0.1
"""Share of the processors from which on other programs make times doubtful."""


@dataclass(frozen=True)
class Timing:
    """Medians over photographs and rounds, milliseconds, greedy."""

    encode: float
    """Encoder and first state, of one photograph."""

    word: float
    """One step, with the search around it."""

    caption: float
    """All of a caption: preparation, encoder and words."""


class OtherWork:
    """What other programs did to the processors while files were timed.

    Turns are no help against them: kernels that wait for each other at every layer become many
    times slower beside other work, others hardly do.
    """

    def __init__(self) -> None:
        self._taken = 0.0
        self._given = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count what happens meanwhile."""
        before, begun = _seconds_of_others(), time.monotonic()
        yield
        self._given += (time.monotonic() - begun) * _processors()
        self._taken += max(0.0, _seconds_of_others() - before)

    @property
    def share(self) -> float:
        """The share of the machine's processors that others took, 0 to 1."""
        return min(1.0, self._taken / self._given) if self._given else 0.0

    def note(self) -> str | None:
        """Say if the times are doubtful."""
        if self.share < _DISTURBING:
            return None
        return (
            f"other programs took {self.share:.0%} of this machine's processors while files were "
            "timed, so that ms may be several times too many, unequally; time again when it is idle"
        )


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


def _seconds_of_others() -> float:
    """Give the processor time of all programs but this and those that it started."""
    import psutil

    counted, this = psutil.cpu_times(), psutil.Process()
    ours = sum(this.cpu_times()[:4])  # with that of children that have ended
    for child in this.children(recursive=True):
        with suppress(psutil.Error):
            ours += sum(child.cpu_times()[:4])
    # Linux counts guests' time among users' too.
    idle = sum(getattr(counted, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return float(sum(counted) - idle - ours)


def _processors() -> int:
    import psutil

    return psutil.cpu_count() or 1


def _medians(captions: Sequence[Caption]) -> Timing:
    times = [caption.timings for caption in captions]
    return Timing(
        encode=statistics.median(each.encode for each in times),
        word=statistics.median(each.per_step for each in times),
        caption=statistics.median(each.prepare + each.encode + each.decode for each in times),
    )
