"""Captions photographs in rounds and takes the times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..captioner import Captioner
from ..device.health import Health, read_health
from ..device.memory import peak_resident_mb, resident_mb

if TYPE_CHECKING:
    from ..captioner import Timings
    from ..checking import CheckResult

__all__ = ["Measured", "measure"]

Progress = Callable[[int, int], None]


@dataclass
class Measured:
    """What was measured; times in milliseconds, memory in MB of 10 ** 6 bytes."""

    load_ms: float = 0.0
    """Opening the file for the first time, the interpreter's import included."""
    reload_ms: float = 0.0
    """Opening it once more, its pages and the interpreter being in memory."""
    first_ms: float = 0.0
    """The first caption after the load."""
    captions_ms: list[float] = field(default_factory=list)
    """Whole captions, from the file's bytes on the disk (or in memory) to words."""
    parts: list[Timings] = field(default_factory=list)
    """The parts of each caption."""
    cpu_s: float = 0.0
    """Processor time of all threads in the timed captions, seconds."""
    resident_before_mb: float | None = None
    """Resident memory before the file was opened."""
    peak_mb: float | None = None
    """Largest resident memory of the process after the rounds."""
    check: CheckResult | None = None
    """Whether the file says here what it said where it was exported."""
    health_before: Health | None = None
    """How the machine was before."""
    health_after: Health | None = None
    """How it was afterwards."""


def measure(
    file: str,
    photos: Sequence[str | bytes],
    *,
    threads: int,
    beam: int,
    rounds: int,
    progress: Progress,
) -> Measured:
    """Load a captioner and caption all photographs in each round, after one round of warm-up.

    photos: paths, or encoded files' bytes. Raises what `Captioner` does.
    """
    measured = Measured(health_before=read_health(), resident_before_mb=resident_mb())
    begun = time.perf_counter()
    captioner = Captioner.load(file, threads)
    measured.load_ms = _since(begun)
    with captioner:
        begun = time.perf_counter()
        captioner.caption(photos[0], beam=beam)
        measured.first_ms = _since(begun)
        for photo in photos:
            captioner.caption(photo, beam=beam)
        for place in range(rounds):
            progress(place, rounds)
            before = time.process_time()
            for photo in photos:
                begun = time.perf_counter()
                caption = captioner.caption(photo, beam=beam)
                measured.captions_ms.append(_since(begun))
                measured.parts.append(caption.timings)
            measured.cpu_s += time.process_time() - before
        progress(rounds, rounds)
        # Before the check and the second load, which may need memory of their own.
        measured.peak_mb = peak_resident_mb()
        measured.health_after = read_health()
        measured.check = captioner.check()
    begun = time.perf_counter()
    with Captioner.load(file, threads):
        measured.reload_ms = _since(begun)
    return measured


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1e3


def file_facts(path: str) -> dict[str, str | int]:
    """Give a file's name, size in bytes and SHA-256."""
    import hashlib

    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {
        "name": os.path.basename(path),
        "bytes": os.path.getsize(path),
        "sha256": digest.hexdigest(),
    }
