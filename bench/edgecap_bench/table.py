"""The report as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edgecap.console import ERRORS
from edgecap_bench.names import folded

__all__ = ["print_report"]

_NONE = "-"
_FLOOR = "  bare"
_NAME_WIDTH = 19
"""Columns for a target's name. More, and rich cuts names and figures short at 80 columns."""
_BUSY = 0.5
"""Load average above which the figures are not to be trusted."""


def print_report(report: Mapping[str, Any]) -> None:
    """Print the report's tables; what failed or is noisy is said below them, on stderr."""
    settings = report["settings"]
    beams = [name for name in settings["searches"] if name != "greedy"]
    heading = f"{report['captioner']}, {report['machine']['cpu']}, threads: {settings['threads']}"
    # Narrow enough for a terminal of 80 columns.
    _print(
        f"{heading}: ms; caption times p50 to p99 are greedy",
        ("load", "prepare", "encode", "per word", "p50", "p90", "p99", *beams),
        report,
        lambda row: _times(row, beams),
    )
    scored = settings["searches"] if any(row["quality"] for row in report["rows"]) else []
    _print(
        "size, peak memory, greedy words that are the same",
        (
            *("word by", "file MB", "memory MB", "over bare MB", "same words"),
            *(f"corpus BLEU-4 {name}" for name in scored),
        ),
        report,
        lambda row: _costs(row, scored),
    )
    baselines = _baselines(report)
    _print(
        "ratios of caption times, photograph by photograph",
        (
            *("this / sum of bare parts", *(f"{name} / greedy" for name in beams)),
            # Broken by hand, for rich cuts long words instead of breaking them at a hyphen.
            *(name.replace("-", "-\n") + " / this" for name in baselines),
        ),
        report,
        lambda row: _ratios(row, beams, baselines),
    )
    for line in _remarks(report):
        ERRORS.print(line, markup=False)


def _print(title: str, columns: Sequence[str], report: Mapping[str, Any], cells: Any) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("target", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for row in report["rows"]:
        name = _FLOOR if row["floor_of"] else folded(row["target"], _NAME_WIDTH)
        table.add_row(name, *cells(row))
    Console(highlight=False).print(table, markup=False)


def _times(row: Mapping[str, Any], beams: Sequence[str]) -> list[str]:
    greedy = row["caption_ms"].get("greedy", {})
    mark = "~" if greedy.get("noisy") else ""
    parts = ("prepare_ms", "encode_ms", "per_word_ms")
    return [
        _number(row["load_ms"]),
        *(_number((row[key] or {}).get("p50")) for key in parts),
        mark + _number(greedy.get("p50")),
        *(_number(greedy.get(key)) for key in ("p90", "p99")),
        *(_number(row["caption_ms"].get(name, {}).get("p50")) for name in beams),
    ]


def _costs(row: Mapping[str, Any], searches: Sequence[str]) -> list[str]:
    same = row["same_words"]
    bleu = [row["quality"].get(name, {}).get("corpus_bleu") for name in searches]
    over = row["peak_over_bare_mb"]
    return [
        row["kind"] or _NONE,
        _NONE if row["file_mb"] is None else f"{row['file_mb']:.1f}",
        _number(row["peak_mb"]),
        _NONE if over is None else f"{over:+.1f}",
        # Spaces that don't break.
        f"{same['same']}\u00a0of\u00a0{same['photos']}" if same else _NONE,
        *(_NONE if values is None else f"{values[3]:.1f}" for values in bleu),
    ]


def _ratios(row: Mapping[str, Any], beams: Sequence[str], baselines: Sequence[str]) -> list[str]:
    ratios = row["ratios"]
    return [
        _number(ratios["over_bare"]),
        *(_number(ratios["beam_over_greedy"].get(name.partition(" ")[2])) for name in beams),
        *(_number(ratios["faster_than"].get(name)) for name in baselines),
    ]


def _baselines(report: Mapping[str, Any]) -> list[str]:
    compared = {name for row in report["rows"] for name in row["ratios"]["faster_than"]}
    return [row["target"] for row in report["rows"] if row["target"] in compared]


def _remarks(report: Mapping[str, Any]) -> list[str]:
    rows = report["rows"]
    lines = [f"{row['target']}: {row['error']}" for row in rows if row["error"]]
    lines.append("word by: a step from the word before, or a run over the whole prefix")
    reference = next((row["same_words"]["as"] for row in rows if row["same_words"]), None)
    if reference is not None:
        lines.append(f"same words: as {reference} says")
    calibration = report["settings"].get("calibration")
    if calibration:
        lines.append(
            f"calibrated recipes: on up to {calibration['images_at_most']} of "
            f"{calibration['photographs']}, seed {calibration['seed']}"
        )
    load = report["disturbance"]["load_before"]
    if load and load[0] > _BUSY:
        lines.append(f"the machine was busy before the benchmark began (load {load[0]:.1f})")
    if any(item["noisy"] for row in rows for item in row["caption_ms"].values()):
        lines.append("~ noisy: the median's 95 % interval is wider than 5 % of it")
    for kind, cost in report["import_cost"].items():
        if "error" in cost:
            lines.append(f"import of edgecap-runtime, {kind}: {cost['error']}")
        else:
            lines.append(
                f"import of edgecap-runtime over numpy, Pillow and the {kind} interpreter: "
                f"{cost['inside_ms']:.1f} ms ({cost['difference_ms']:.1f} ms between whole "
                f"processes of {cost['base_ms']:.0f} ms)"
            )
    for row in rows:
        parity = row["parity"]
        if parity and parity.get("verdict") == "failed":
            lines.append(f"{row['target']}: below its parity gate (edgecap show says where)")
    if report["interrupted"]:
        lines.append("interrupted: the tables hold what was measured until then")
    return lines


def _number(value: float | None) -> str:
    """Write about three significant digits, at most three decimals."""
    if value is None:
        return _NONE
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"
