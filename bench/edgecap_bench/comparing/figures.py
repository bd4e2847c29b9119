"""The figures of a row that can get better or worse, with what is known of their noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgecap_bench.sample import PARTS
from edgecap_bench.statistics import median_interval

__all__ = ["Figure", "costs_of", "metrics_of"]

Row = Mapping[str, Any]
Interval = tuple[float, float]

_NORMAL_90 = 1.2816
"""90th percentile of the normal distribution, in standard deviations."""
_NORMAL_975 = 1.96
_MEDIAN_ERROR = 1.2533
"""Standard error of a normal sample's median over that of its mean, root of pi / 2."""
_METRICS = (
    *("bleu1", "bleu2", "bleu3", "bleu4"),
    *("rouge_l", "meteor_exact_stem", "cider_d"),
)
_SEED = 0


@dataclass(frozen=True)
class Figure:
    """A figure of a row."""

    name: str
    """What it is, with its unit."""
    value: float
    """The figure."""
    lower_is_better: bool = True
    """Which way is better."""
    interval: Callable[[], Interval | None] = lambda: None
    """Gives its 95 % interval, where the report knows of one; called only when it matters."""
    tolerances: float = 1.0
    """How many tolerances it must move by to count; 0 where its interval alone decides."""


def costs_of(row: Row) -> Iterator[Figure]:
    """Give a row's times, sizes, memory and rates; what is null is left out."""
    for search, times in row["caption_ms"].items():
        yield Figure(f"caption {search} ms", times["p50"], interval=_told_or_normal(times))
    for key, name in (
        *((f"{part}_ms", f"{part} ms") for part in PARTS),
        ("cpu_ms", "processor ms"),
        ("cold_start_ms", "cold start ms"),
    ):
        if row[key] is not None:
            yield Figure(name, row[key]["p50"], interval=_resampled_or_normal(row, key))
    for key, name in (
        ("file_mb", "file MB"),
        ("peak_mb", "peak memory MB"),
        ("energy_j", "energy J"),
    ):
        if row[key] is not None:
            yield Figure(name, row[key])
    saturated = (row["throughput"] or {}).get("saturated_per_s")
    if saturated is not None and not any(times["noisy"] for times in row["caption_ms"].values()):
        # Measured once: nothing is known of its noise but what the row's other times tell.
        yield Figure("saturated captions/s", saturated, lower_is_better=False, tolerances=2.0)


def metrics_of(row: Row, paired: Callable[[str, str], bool]) -> Iterator[Figure]:
    """Give a row's quality.

    paired: says of a search and a target whether that target scored the same in both reports, so
    that differences to it can be compared instead of the scores: their intervals are narrower.
    """
    for search, scores in row["quality"].items():
        against = scores["against"]
        for key in _METRICS:
            if against is not None and paired(search, against["target"]):
                found, value = against[key], "difference"
                name = f"{key} {search}, over {against['target']}"
            else:
                found, value, name = scores[key], "value", f"{key} {search}"
            yield Figure(
                name,
                found[value],
                lower_is_better=False,
                interval=_given(found["low"], found["high"]),
                tolerances=0.0,
            )
        if scores["token_exact"] is not None:
            yield Figure(
                f"same captions {search}",
                scores["token_exact"],
                lower_is_better=False,
                interval=_wilson(scores["token_exact"], scores["images"]),
                tolerances=0.0,
            )


def _given(low: float, high: float) -> Callable[[], Interval]:
    return lambda: (low, high)


def _told_or_normal(times: Mapping[str, Any]) -> Callable[[], Interval | None]:
    if times["p50_interval"] is None:
        return _normal(times)
    return _given(*times["p50_interval"])


def _resampled_or_normal(row: Row, key: str) -> Callable[[], Interval | None]:
    """Give the interval of a greedy median over the rounds, or as if its times were normal."""
    samples = row["samples"]
    values = samples.get(key)
    if not values:
        return _normal(row[key])

    def resampled() -> Interval:
        rounds: dict[int, list[float]] = {}
        for place, beam in enumerate(samples["beam"]):
            if beam == 1:
                rounds.setdefault(samples["round"][place], []).append(values[place])
        return median_interval(list(rounds.values()), _SEED)

    return resampled


def _normal(times: Mapping[str, Any]) -> Callable[[], Interval]:
    """Give the interval that the median of normal values would have, from their percentiles."""
    deviation = (times["p90"] - times["p50"]) / _NORMAL_90
    half = _NORMAL_975 * _MEDIAN_ERROR * deviation / math.sqrt(times["count"])
    return _given(times["p50"] - half, times["p50"] + half)


def _wilson(share: float, count: int) -> Callable[[], Interval]:
    """Give the interval of a share of so many images (Wilson 1927)."""
    squared = _NORMAL_975**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = (
        _NORMAL_975
        * math.sqrt(share * (1 - share) / count + squared / (4 * count**2))
        / (1 + squared / count)
    )
    return _given(centre - half, centre + half)
