"""What one caption by one target cost; the form in which worker processes answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

__all__ = ["PARTS", "Clock", "Sample"]

PARTS = ("prepare", "encode", "words")
"""The parts of a caption's time, in their order."""


@dataclass(frozen=True)
class Sample:
    """One caption of one photograph, timed. Its JSON form has the same keys."""

    prepare_ms: float
    """From the photograph's file to the encoder's pixels, milliseconds."""
    encode_ms: float
    """From pixels to the decoder's first state (or to features), milliseconds."""
    words_ms: float
    """All decoder steps with the search around them, milliseconds."""
    caption_ms: float
    """From the file to words, by a clock of its own, milliseconds."""
    cpu_ms: float
    """Processor time of all threads meanwhile, milliseconds."""
    steps: int
    """Decoder steps; in a beam one step takes all rows."""
    ids: Sequence[int]
    """The words' ids."""
    words: Sequence[str]
    """The words."""

    def part_ms(self, part: str) -> float:
        """Give the time of one of `PARTS`, milliseconds."""
        return float(getattr(self, f"{part}_ms"))

    @property
    def parts_ms(self) -> float:
        """The sum of the parts' times, milliseconds."""
        return self.prepare_ms + self.encode_ms + self.words_ms


class Clock:
    """Takes the times between the parts of a caption."""

    def __init__(self) -> None:
        self._cpu = process_time()
        self._marks = [perf_counter()]

    def mark(self) -> None:
        """End a part; to be called after prepare, encode and words."""
        self._marks.append(perf_counter())

    def sample(self, steps: int, ids: Sequence[int], words: Sequence[str]) -> Sample:
        """Make the sample of a caption whose three parts were marked."""
        cpu = process_time() - self._cpu
        begun, prepared, encoded, said = self._marks
        return Sample(
            (prepared - begun) * 1e3,
            (encoded - prepared) * 1e3,
            (said - encoded) * 1e3,
            (said - begun) * 1e3,
            cpu * 1e3,
            steps,
            list(ids),
            list(words),
        )
