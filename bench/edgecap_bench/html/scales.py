"""From figures to places on a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scale", "linear_scale", "log_scale"]

_STEPS = (1.0, 2.0, 5.0, 10.0)
_FEWEST = 3
"""Ticks that a logarithmic axis has at least."""
_MARGIN = 0.06
"""What is left free on both sides of the figures, as a share of the axis."""


@dataclass(frozen=True)
class Scale:
    """An axis."""

    low: float
    """The figure at its beginning."""
    high: float
    """The figure at its end."""
    ticks: Sequence[float]
    """Round figures on it."""
    logarithmic: bool = False
    """Whether equal factors, not equal differences, are equally long."""

    def share(self, value: float) -> float:
        """Give a figure's place, 0 at the beginning to 1 at the end."""
        if self.logarithmic:
            low, high, value = (math.log(each) for each in (self.low, self.high, value))
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low)


def linear_scale(values: Sequence[float], *, from_zero: bool = False, ticks: int = 6) -> Scale:
    """Make an axis for figures, at least one; about so many ticks."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    if high <= low:
        low, high = (0.0, high or 1.0) if from_zero else (low - 1, high + 1)
    space = _MARGIN * (high - low)
    low, high = (low if from_zero else low - space), high + space
    return Scale(low, high, _ticks(low, high, ticks))


def log_scale(values: Sequence[float], ticks: int = 8, margin: float = _MARGIN) -> Scale:
    """Make a logarithmic axis for figures above 0, at least one; at most so many ticks.

    margin: what is left free on both sides, as a share of the figures' own part.
    """
    low, high = min(values), max(values)
    space = max((high / low) ** margin, 1.1)
    low, high = low / space, high * space
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [
            step * 10.0**power
            for power in powers
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) <= ticks:
            break
    if len(found) < _FEWEST:  # within one power of ten: round figures as on any axis
        found = [tick for tick in _ticks(low, high, ticks // 2) if tick > 0]
    return Scale(low, high, found, logarithmic=True)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Give about so many round figures at equal distances."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in _STEPS if each * power >= rough * 0.999)
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
