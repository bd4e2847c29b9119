"""The report as CSV: a line for each row and search, for a spreadsheet or a data frame.

The columns are the same for every report; a new one goes to the end. What a report doesn't have
is an empty cell. Lists and mappings of the report that have no fixed length (files, baselines) are
one cell each, their items apart by "; ".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["COLUMNS", "csv_table"]

_SUMMARY = ("p50", "p90", "p99", "max", "count")
_GREEDY = ("prepare_ms", "encode_ms", "words_ms", "per_word_ms", "steps", "cpu_ms")
"""Summaries that a report has of greedy search alone; they stand on every line of a row."""
_METRICS = (
    *("bleu1", "bleu2", "bleu3", "bleu4"),
    *("rouge_l", "meteor_exact_stem", "cider_d", "sentence_mean_bleu1"),
)
_SCORE = ("value", "low", "high")
_DIFFERENCE = ("difference", "low", "high", "p")
_PLAIN = (
    *("target", "threads", "device", "error", "disturbed", "recipe", "kind", "floor_of"),
    *("file_mb", "import_ms", "load_ms"),
)
_COSTS = ("energy_j", "peak_mb", "peak_over_bare_mb", "photos")
_RATES = ("one_stream_per_s", "saturated_per_s", "how")

COLUMNS: tuple[str, ...] = (
    *("captioner", "started", "commit"),
    *_PLAIN,
    "search",
    *(f"caption_ms_{key}" for key in (*_SUMMARY, "low", "high")),
    "noisy",
    *(f"cold_start_ms_{key}" for key in _SUMMARY),
    *(f"greedy_{name}_{key}" for name in _GREEDY for key in _SUMMARY),
    *_RATES[:2],
    "saturated_how",
    *_COSTS,
    "quality_images",
    *(name if key == "value" else f"{name}_{key}" for name in _METRICS for key in _SCORE),
    *("token_exact", "words_mean", "distinct", "against"),
    *(
        f"{name}_difference" if key == "difference" else f"{name}_difference_{key}"
        for name in _METRICS
        for key in _DIFFERENCE
    ),
    *("same_words_as", "same_words", "same_words_photos"),
    *("over_bare", "cold_over_bare", "saturated_over_bare"),
    *("beam_over_greedy", "faster_than", "files", "sha256"),
)
"""The names of the columns, in their order."""


def csv_table(report: Mapping[str, Any]) -> str:
    """Give the report as CSV with a line of names; a row without any search has one line too.

    report: one that `schema.check_report` lets pass.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in report["rows"]:
        for search in _searches(row, report["settings"]["searches"]):
            writer.writerow(dict(_cells(report, row, search)))
    return text.getvalue()


def _searches(row: Mapping[str, Any], order: Sequence[str]) -> list[str | None]:
    """Name a row's searches in the report's order; one None where it has none."""
    had = [*row["caption_ms"], *row["quality"]]
    found = [name for name in order if name in had]
    found += [name for name in dict.fromkeys(had) if name not in found]
    return [*found] or [None]


def _cells(
    report: Mapping[str, Any], row: Mapping[str, Any], search: str | None
) -> Iterator[tuple[str, Any]]:
    yield "captioner", report["captioner"]
    yield "started", report["started"]
    yield "commit", report["machine"]["commit"]
    yield from ((name, _cell(row[name])) for name in (*_PLAIN, *_COSTS))
    yield "search", search
    times = row["caption_ms"].get(search) or {}
    yield from ((f"caption_ms_{key}", times.get(key)) for key in _SUMMARY)
    low, high = times.get("p50_interval") or (None, None)
    yield from (("caption_ms_low", low), ("caption_ms_high", high))
    yield "noisy", _cell(times.get("noisy"))
    for name, column in (
        ("cold_start_ms", "cold_start_ms"),
        *((name, f"greedy_{name}") for name in _GREEDY),
    ):
        yield from ((f"{column}_{key}", (row[name] or {}).get(key)) for key in _SUMMARY)
    rates = row["throughput"] or {}
    yield from ((name, rates.get(name)) for name in _RATES[:2])
    yield "saturated_how", rates.get("how")
    yield from _scores(row["quality"].get(search) or {})
    same = row["same_words"] or {}
    yield from (("same_words_as", same.get("as")), ("same_words", same.get("same")))
    yield "same_words_photos", same.get("photos")
    yield from _ratios(row["ratios"], search)
    yield "files", "; ".join(file["name"] for file in row["files"])
    yield "sha256", "; ".join(file["sha256"] for file in row["files"])


def _scores(scores: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "quality_images", scores.get("images")
    against = scores.get("against") or {}
    for name in _METRICS:
        score, difference = scores.get(name) or {}, against.get(name) or {}
        yield name, score.get("value")
        yield from ((f"{name}_{key}", score.get(key)) for key in _SCORE[1:])
        yield f"{name}_difference", difference.get("difference")
        yield from ((f"{name}_difference_{key}", difference.get(key)) for key in _DIFFERENCE[1:])
    yield from ((key, scores.get(key)) for key in ("token_exact", "words_mean", "distinct"))
    yield "against", against.get("target")


def _ratios(ratios: Mapping[str, Any], search: str | None) -> Iterator[tuple[str, Any]]:
    for name in ("over_bare", "cold_over_bare", "saturated_over_bare"):
        yield name, ratios[name]
    width = (search or "").partition(" ")[2]
    yield "beam_over_greedy", ratios["beam_over_greedy"].get(width)
    faster = ratios["faster_than"].items()
    yield "faster_than", "; ".join(f"{name} {value}" for name, value in faster if value is not None)


def _cell(value: Any) -> Any:
    """Write true and false as JSON does."""
    return str(value).lower() if isinstance(value, bool) else value
