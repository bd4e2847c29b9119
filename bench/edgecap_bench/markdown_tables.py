"""The report as tables in Markdown, for a README or an issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecap.markdown import markdown_table
from edgecap_bench.groups import groups_of
from edgecap_bench.html.words import NONE, number

__all__ = ["markdown_tables"]

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]
"""By heading, from a row to its cell."""


def markdown_tables(report: Mapping[str, Any]) -> str:
    """Give what a target costs, how good it is, and the ratios: two tables for each device and
    number of threads.

    report: one that `schema.check_report` lets pass.
    """
    searches = report["settings"]["searches"]
    scored = any(row["quality"] for row in report["rows"])
    baselines = list(dict.fromkeys(name for row in report["rows"] for name in _faster(row)))
    figures = _figures(searches) | (_quality(searches) if scored else {})
    ratios = _ratios(searches, baselines)
    blocks: list[str] = []
    for group in groups_of(report):
        measured = [row for row in group.targets if not row["error"]]
        blocks += [
            f"## {report['captioner']}: {group.title}",
            _table(figures, group.targets),
            _table(ratios, measured),
        ]
    blocks.append(
        "Times are medians in milliseconds, greedy where no beam is named; MB are 10^6 bytes. "
        "Noisy: the median's 95 % interval is wider than 5 % of it."
    )
    blocks += [f"Disturbed: {reason}" for reason in report["disturbance"]["why"]]
    return "\n\n".join(blocks) + "\n"


def _table(columns: Columns, rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        if row["error"]:
            # The first cell says why; the others are empty.
            cells = [row["error"], *[""] * (len(columns) - 1)]
        else:
            cells = [cell(row) for cell in columns.values()]
        name = row["target"].replace(":", " ")
        lines.append([_escaped(cell) for cell in (name, *cells)])
    return "\n".join(markdown_table(["target", *columns], lines))


def _figures(searches: Sequence[str]) -> dict[str, Callable[[Row], str]]:
    def median(key: str, digits: int) -> Callable[[Row], str]:
        return lambda row: number((row[key] or {}).get("p50"), digits)

    def beam(name: str) -> Callable[[Row], str]:
        return lambda row: _time(row["caption_ms"].get(name) or {}, "p50")

    return {
        "file MB": lambda row: number(row["file_mb"], 1),
        "cold start": median("cold_start_ms", 0),
        "prepare": median("prepare_ms", 1),
        "encode": median("encode_ms", 1),
        "a word": median("per_word_ms", 2),
        "caption p50 / p90 / p99": lambda row: _time(
            row["caption_ms"].get("greedy") or {}, "p50", "p90", "p99"
        ),
        **{name: beam(name) for name in searches[1:]},
        "memory MB": lambda row: number(row["peak_mb"], 0),
    }


def _quality(searches: Sequence[str]) -> dict[str, Callable[[Row], str]]:
    every = " / ".join(searches)
    return {
        f"BLEU-4 {every}": lambda row: _scores(row, searches, "bleu4", 1),
        f"CIDEr-D {every}": lambda row: _scores(row, searches, "cider_d", 3),
    }


def _ratios(searches: Sequence[str], baselines: Sequence[str]) -> dict[str, Callable[[Row], str]]:
    def over(name: str) -> Callable[[Row], str]:
        return lambda row: number(row["ratios"][name], 2)

    def beam(name: str) -> Callable[[Row], str]:
        width = name.partition(" ")[2]
        return lambda row: number(row["ratios"]["beam_over_greedy"].get(width), 2)

    def faster(name: str) -> Callable[[Row], str]:
        return lambda row: _times_as_fast(_faster(row).get(name))

    return {
        "caption / its bare parts": over("over_bare"),
        "cold start / bare": over("cold_over_bare"),
        "full load / bare": over("saturated_over_bare"),
        "memory MB over bare": lambda row: number(row["peak_over_bare_mb"], 1, signed=True),
        **{f"{name} / greedy": beam(name) for name in searches[1:]},
        **{f"faster than {name}": faster(name) for name in baselines},
    }


def _faster(row: Row) -> Mapping[str, float | None]:
    faster: Mapping[str, float | None] = row["ratios"]["faster_than"]
    return faster


def _times_as_fast(ratio: float | None) -> str:
    return NONE if ratio is None else f"{number(ratio, 1)} x"


def _time(times: Mapping[str, Any], *percentiles: str) -> str:
    figures = " / ".join(number(times.get(key), 1) for key in percentiles)
    return figures + (" noisy" if times.get("noisy") else "")


def _scores(row: Row, searches: Sequence[str], metric: str, digits: int) -> str:
    if not row["quality"]:
        return NONE
    each = ((row["quality"].get(name) or {}).get(metric) or {} for name in searches)
    return " / ".join(number(score.get("value"), digits) for score in each)


def _escaped(cell: str) -> str:
    """Keep what a target is called, or why it failed, within its cell."""
    return " ".join(cell.replace("|", "\\|").split())
