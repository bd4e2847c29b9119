"""The columns of the one table: what each shows of a row, and which end of it is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecap_bench.html.words import number

__all__ = ["Column", "columns_of"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of figures."""

    heading: str
    """What it is, under its group's heading."""
    group: str
    """Heading of the columns that it stands with."""
    value: Callable[[Row], float | None]
    """From a row to its figure; None where it has none."""
    best: str | None = None
    """Which end is best, "low" or "high"; None for neither."""
    text: Callable[[float], str] = number
    """How a figure is written."""
    detail: Callable[[Row], str | None] = lambda row: None
    """What stands small below it, such as its interval."""
    meaning: str = ""
    """What the figure is, for those who ask."""


def columns_of(report: Mapping[str, Any]) -> list[Column]:
    """Give the columns of which at least one row has a figure."""
    searches = list(report["settings"]["searches"])
    for row in report["rows"]:
        searches += [name for name in row["caption_ms"] if name not in searches]
    columns: list[Column] = []
    for search in searches:
        columns += _quality(search)
    for search in searches:
        columns += _caption(search)
    columns += _COSTS
    return [
        column for column in columns if any(column.value(row) is not None for row in report["rows"])
    ]


def _quality(search: str) -> list[Column]:
    group = f"Quality, {search}"

    def score(key: str) -> Callable[[Row], float | None]:
        return lambda row: _path(row, "quality", search, key, "value")

    def interval(key: str, digits: int) -> Callable[[Row], str | None]:
        def said(row: Row) -> str | None:
            found = _path(row, "quality", search, key)
            if found is None:
                return None
            return f"{number(found['low'], digits)} to {number(found['high'], digits)}"

        return said

    return [
        Column(
            "BLEU-4",
            group,
            score("bleu4"),
            "high",
            lambda value: number(value, 2),
            interval("bleu4", 1),
            "corpus BLEU-4, 0 to 100, with its 95 % interval",
        ),
        Column(
            "CIDEr-D",
            group,
            score("cider_d"),
            "high",
            lambda value: number(value, 3),
            interval("cider_d", 2),
            "CIDEr-D, 0 to 10, with its 95 % interval",
        ),
        Column(
            "same",
            group,
            lambda row: _path(row, "quality", search, "token_exact"),
            "high",
            lambda value: f"{value:.1%}",
            meaning="share of captions that are the reference's, word for word",
        ),
    ]


def _caption(search: str) -> list[Column]:
    def interval(row: Row) -> str | None:
        found = _path(row, "caption_ms", search, "p50_interval")
        return f"{number(found[0])} to {number(found[1])}" if found else None

    def of(key: str) -> Callable[[Row], float | None]:
        return lambda row: _path(row, "caption_ms", search, key)

    group = f"Caption, {search}, ms"
    return [
        Column(
            *("p50", group, of("p50"), "low", number, interval),
            "median from file to words, with its 95 % interval",
        ),
        *(
            Column(key, group, of(key), "low", meaning=f"{said} of all captions")
            for key, said in (
                ("p90", "90th percentile"),
                ("p99", "99th percentile"),
                ("max", "the slowest"),
            )
        ),
    ]


def _path(row: Row, *keys: str) -> Any:
    """Follow keys into a row; None where one is missing or null."""
    found: Any = row
    for key in keys:
        found = found.get(key) if found is not None else None
    return found


def _at(*keys: str) -> Callable[[Row], float | None]:
    return lambda row: _path(row, *keys)


def _signed(value: float) -> str:
    return number(value, 1, signed=True)


_PARTS, _START = "Parts, greedy, ms", "Start, ms"
_RATES, _SIZES, _OTHERS = "Captions a second", "Size and memory, MB", "A caption takes"
_COSTS: Sequence[Column] = (
    Column("prepare", _PARTS, _at("prepare_ms", "p50"), "low", meaning="from file to pixels"),
    Column("encode", _PARTS, _at("encode_ms", "p50"), "low", meaning="from pixels to features"),
    Column("a word", _PARTS, _at("per_word_ms", "p50"), "low", meaning="one decoder step"),
    Column("load", _START, _at("load_ms"), "low", meaning="loading the captioner"),
    Column(
        *("cold start", _START, _at("cold_start_ms", "p50"), "low"),
        meaning="from the start of the process to the first words",
    ),
    Column(
        *("one by one", _RATES, _at("throughput", "one_stream_per_s"), "high"),
        meaning="one caption after the other",
    ),
    Column(
        *("saturated", _RATES, _at("throughput", "saturated_per_s"), "high"),
        meaning="as many as the machine can",
    ),
    Column("file", _SIZES, _at("file_mb"), "low", meaning="what a device needs of files"),
    Column("peak", _SIZES, _at("peak_mb"), "low", meaning="peak resident memory"),
    Column(
        *("over bare", _SIZES, _at("peak_over_bare_mb"), "low", _signed),
        meaning="peak memory minus that of the bare interpreter with the same file",
    ),
    Column("CPU ms", _OTHERS, _at("cpu_ms", "p50"), "low", meaning="processor time, all threads"),
    Column("joules", _OTHERS, _at("energy_j"), "low", meaning="energy, where a meter tells"),
    Column("steps", _OTHERS, _at("steps", "p50"), meaning="decoder steps, median, greedy"),
)
