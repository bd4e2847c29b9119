"""The few statistics of the tables."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from edgecap_runtime.benching.summary import percentile

__all__ = ["NOISY", "median_interval", "percentile", "ratio_of_photos", "summary"]

NOISY = 0.05
"""A median whose interval is wider than this share of it is marked noisy."""

_RESAMPLES = 400


def summary(values: Sequence[float]) -> dict[str, float]:
    """Give p50, p90, p99, the largest and the count of values, as the report has them."""
    quantiles = {f"p{percent}": percentile(values, percent) for percent in (50, 90, 99)}
    return {**quantiles, "max": max(values), "count": len(values)}


def median_interval(rounds: Sequence[Sequence[float]], seed: int) -> tuple[float, float]:
    """Give the 95 % interval of the median of all values.

    By a bootstrap over whole rounds (Efron 1979), for the values of a round share what disturbed
    it. rounds: the values of each round; at least one value in all.
    """
    filled = [values for values in rounds if values]
    chance = random.Random(seed)
    medians = []
    for _ in range(_RESAMPLES):
        drawn = chance.choices(filled, k=len(filled))
        medians.append(percentile([value for values in drawn for value in values], 50))
    return percentile(medians, 2.5), percentile(medians, 97.5)


def ratio_of_photos(
    above: Mapping[int, Sequence[float]], below: Mapping[int, Sequence[float]]
) -> float | None:
    """Compare two targets by the photographs that both captioned.

    above, below: each photograph's times over the rounds. Returns the sum of the photographs'
    median times of `above` over that of `below`; None where no photograph has both.
    """
    common = [photo for photo in above if above[photo] and below.get(photo)]
    total = sum(percentile(below[photo], 50) for photo in common)
    if not common or total <= 0:
        return None
    return sum(percentile(above[photo], 50) for photo in common) / total
