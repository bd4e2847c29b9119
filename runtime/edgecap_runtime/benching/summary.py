"""The few statistics of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["percentile", "summary"]

_PERCENTS = (50, 90, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """Give a percentile, linear between the two nearest values (Hyndman and Fan 1996, type 7).

    Raises `ValueError` for no values, or a percent outside 0 to 100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError(f"no percentile {percent} of {len(values)} values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below, above = math.floor(place), math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Give p50, p90, p99, the largest value and the count of values."""
    quantiles = {f"p{percent}": round(percentile(values, percent), 3) for percent in _PERCENTS}
    return {**quantiles, "max": round(max(values), 3), "count": len(values)}
