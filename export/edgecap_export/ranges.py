"""The range of an activation, from what it was over many pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["RangeTally"]

_KEPT = 500
"""Values of a picture that are kept, at random, for a percentile."""

_PERCENTILE = 99.99
_AVERAGE = 0.95


class RangeTally:
    """Takes an activation's values picture by picture; one of `recipes.RANGES` says how."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._seen: list[tuple[float, float]] = []
        self._sampled: list[NDArray[np.float32]] = []
        self._random = np.random.default_rng(0)

    def add(self, values: NDArray[np.float32]) -> None:
        """Take the values of one picture, of any shape."""
        flat = values.ravel()
        if not flat.size:
            return
        self._seen.append((float(flat.min()), float(flat.max())))
        if self._method == "percentile":
            # At random: at equal steps only some channels would be met.
            chosen = flat if flat.size <= _KEPT else self._random.choice(flat, _KEPT)
            self._sampled.append(chosen)

    def range(self) -> tuple[float, float]:
        """Give the smallest and largest value to tell apart; (0, 0) if nothing was seen."""
        if not self._seen:
            return 0.0, 0.0
        if self._method == "percentile":
            values = np.concatenate(self._sampled)
            low, high = np.percentile(values, [100 - _PERCENTILE, _PERCENTILE])
            return float(low), float(high)
        lows, highs = np.array(self._seen).T
        if self._method == "moving-average":
            return _moving(lows), _moving(highs)
        return float(lows.min()), float(highs.max())


def _moving(values: NDArray[np.float64]) -> float:
    average = float(values[0])
    for value in values[1:]:
        average = _AVERAGE * average + (1 - _AVERAGE) * float(value)
    return average
