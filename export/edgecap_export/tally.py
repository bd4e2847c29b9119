"""Counting differences of log probabilities without keeping them all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DifferenceTally"]

# 1000 captions over 8256 words make 10**8 differences: they are counted in classes whose edges lie
# 2 % apart, from 1e-12 on.
_LEAST = 1e-12
_RATIO = math.log(1.02)
_CLASSES = 2048


class DifferenceTally:
    """Absolute differences of two sets of log probabilities, as a histogram."""

    def __init__(self) -> None:
        self._counts = np.zeros(_CLASSES, np.int64)
        self._largest = 0.0

    def add(self, found: NDArray[np.floating[Any]], expected: NDArray[np.floating[Any]]) -> None:
        """Count the differences of two arrays of one shape; one that is no number stays seen."""
        if found.shape != expected.shape:
            raise ValueError(f"shapes {found.shape} and {expected.shape} differ")
        differences = np.abs(found - expected).ravel()
        largest = float(differences.max())
        # numpy's maximum keeps a NaN for good, Python's max would let it go again.
        self._largest = float(np.maximum(self._largest, largest))
        with np.errstate(invalid="ignore"):
            classes = np.log(np.maximum(differences, _LEAST) / _LEAST) / _RATIO
            places = np.nan_to_num(np.ceil(classes), nan=_CLASSES, posinf=_CLASSES)
        places = np.minimum(places, _CLASSES - 1).astype(np.int64)
        self._counts += np.bincount(places, minlength=_CLASSES)

    def quantile(self, share: float) -> float:
        """Give a quantile, exact for 1 and else at most 2 % too high; NaN once there was one."""
        if share >= 1 or math.isnan(self._largest):
            return self._largest
        reached = np.searchsorted(np.cumsum(self._counts), share * self._counts.sum())
        return min(self._largest, _LEAST * math.exp(_RATIO * int(reached)))
