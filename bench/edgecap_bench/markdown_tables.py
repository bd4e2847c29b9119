"""The report as tables in Markdown, for a README or an issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap.markdown import markdown_table
from edgecap_bench.html.groups import groups_of
from edgecap_bench.html.words import NONE, number

__all__ = ["markdown_tables"]

Row = Mapping[str, Any]


def markdown_tables(report: Mapping[str, Any]) -> str:
    """Give what a target costs, how good it is, and the ratios: two tables for each device and
    number of threads.

    report: one that `schema.check_report` lets pass.
    """
    searches = report["settings"]["searches"]
    scored = any(row["quality"] for row in report["rows"])
    baselines = list(dict.fromkeys(name for row in report["rows"] for name in _faster(row)))
    blocks: list[str] = []
    for group in groups_of(report):
        measured = [row for row in group.targets if not row["error"]]
        blocks += [
            f"## {report['captioner']}: {group.title}",
            _table(
                _head(searches, scored),
                group.targets,
                lambda row: _figures(row, searches, scored),
            ),
            _table(
                _ratio_head(searches, baselines),
                measured,
                lambda row: _ratios(row, searches, baselines),
            ),
        ]
    blocks.append(
        "Times are medians in milliseconds, greedy where no beam is named; MB are 10^6 bytes. "
        "Noisy: the median's 95 % interval is wider than 5 % of it."
    )
    blocks += [f"Disturbed: {reason}" for reason in report["disturbance"]["why"]]
    return "\n\n".join(blocks) + "\n"


def _table(head: Sequence[str], rows: Sequence[Row], cells: Any) -> str:
    lines = ([row["target"].replace(":", " "), *cells(row)] for row in rows)
    return "\n".join(markdown_table(head, [[_escaped(cell) for cell in line] for line in lines]))


def _head(searches: Sequence[str], scored: bool) -> list[str]:
    every = " / ".join(searches)
    quality = [f"BLEU-4 {every}", f"CIDEr-D {every}"] if scored else []
    costs = ("file MB", "cold start", "prepare", "encode", "a word", "caption p50 / p90 / p99")
    return ["target", *costs, *searches[1:], "memory MB", *quality]


def _figures(row: Row, searches: Sequence[str], scored: bool) -> list[str]:
    if row["error"]:
        # The first cell says why; the others are empty.
        return [row["error"], *[""] * (len(_head(searches, scored)) - 2)]
    parts = (("cold_start_ms", 0), ("prepare_ms", 1), ("encode_ms", 1), ("per_word_ms", 2))
    greedy = row["caption_ms"].get("greedy") or {}
    caption = " / ".join(number(greedy.get(key), 1) for key in ("p50", "p90", "p99"))
    return [
        number(row["file_mb"], 1),
        *(number((row[key] or {}).get("p50"), digits) for key, digits in parts),
        caption + _noisy(greedy),
        *(_time(row["caption_ms"].get(name) or {}) for name in searches[1:]),
        number(row["peak_mb"], 0),
        *(
            _scores(row, searches, metric, digits)
            for metric, digits in ((("bleu4", 1), ("cider_d", 3)) if scored else ())
        ),
    ]


def _ratio_head(searches: Sequence[str], baselines: Sequence[str]) -> list[str]:
    return [
        *("target", "caption / its bare parts", "cold start / bare", "full load / bare"),
        "memory MB over bare",
        *(f"{name} / greedy" for name in searches[1:]),
        *(f"faster than {name}" for name in baselines),
    ]


def _ratios(row: Row, searches: Sequence[str], baselines: Sequence[str]) -> list[str]:
    ratios = row["ratios"]
    beams = (ratios["beam_over_greedy"].get(name.partition(" ")[2]) for name in searches[1:])
    faster = (_faster(row).get(name) for name in baselines)
    return [
        *(number(ratios[name], 2) for name in ("over_bare", "cold_over_bare")),
        number(ratios["saturated_over_bare"], 2),
        number(row["peak_over_bare_mb"], 1, signed=True),
        *(number(each, 2) for each in beams),
        *(NONE if each is None else f"{number(each, 1)} x" for each in faster),
    ]


def _faster(row: Row) -> Mapping[str, float | None]:
    faster: Mapping[str, float | None] = row["ratios"]["faster_than"]
    return faster


def _time(times: Mapping[str, Any]) -> str:
    return number(times.get("p50"), 1) + _noisy(times)


def _noisy(times: Mapping[str, Any]) -> str:
    return " noisy" if times.get("noisy") else ""


def _scores(row: Row, searches: Sequence[str], metric: str, digits: int) -> str:
    if not row["quality"]:
        return NONE
    each = ((row["quality"].get(name) or {}).get(metric) or {} for name in searches)
    return " / ".join(number(score.get("value"), digits) for score in each)


def _escaped(cell: str) -> str:
    """Keep what a target is called, or why it failed, within its cell."""
    return " ".join(cell.replace("|", "\\|").split())
