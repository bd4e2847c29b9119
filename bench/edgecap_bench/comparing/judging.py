"""Whether a figure moved by more than its noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from edgecap_bench.comparing.figures import Figure

__all__ = ["Change", "Verdict", "judge"]

_WIDER = 3.29 / 1.96
"""From a 95 % interval to one of 99.9 %: two reports have hundreds of figures in common, of which
one in twenty would seem to move by chance alone."""


class Verdict(StrEnum):
    """What became of a figure."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"


@dataclass(frozen=True)
class Change:
    """A figure in both reports."""

    figure: str
    """Its name."""
    before: float
    """In the first report."""
    after: float
    """In the second."""
    verdict: Verdict
    """What that means."""

    @property
    def relative(self) -> float | None:
        """By what share of itself it grew; None from 0."""
        return None if self.before == 0 else self.after / self.before - 1


def judge(before: Figure, after: Figure, tolerance: float) -> Change:
    """Compare a figure of one name in two reports.

    tolerance: the share of the first by which a cost must move at least. Where intervals are
    known, it must also move by more than the root of the sum of their half widths' squares, once
    they are widened to 99.9 %. Source: Schenker and Gentleman, "On Judging the Significance of
    Differences by Examining the Overlap Between Confidence Intervals", 2001.
    """
    moved = after.value - before.value
    verdict = Verdict.SAME
    if abs(moved) > tolerance * before.tolerances * abs(before.value) and _beyond(
        before, after, moved
    ):
        verdict = Verdict.BETTER if (moved < 0) == before.lower_is_better else Verdict.WORSE
    return Change(before.name, before.value, after.value, verdict)


def _beyond(before: Figure, after: Figure, moved: float) -> bool:
    """Say whether it moved by more than the intervals allow; without any nothing is allowed."""
    # The half of an interval that faces the other figure: intervals need not be symmetric.
    halves = []
    for figure, up in ((before, moved > 0), (after, moved < 0)):
        interval = figure.interval()
        if interval is not None:
            halves.append(interval[1] - figure.value if up else figure.value - interval[0])
    return abs(moved) > _WIDER * math.hypot(*halves) if halves else moved != 0
