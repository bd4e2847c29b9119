"""The report as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edgecap.console import ERRORS
from edgecap_bench.groups import groups_of
from edgecap_bench.names import folded

__all__ = ["print_report"]

_NONE = "-"
_COSTS = ("word by", "file MB", "memory MB", "over bare", "CPU ms", "one by one", "many")
_FLOOR = "  bare"
_NAME_WIDTH = 19
"""Columns for a target's name. More, and rich cuts names and figures short at 80 columns."""


def print_report(report: Mapping[str, Any]) -> None:
    """Print the report's tables; what failed or is noisy is said below them, on stderr.

    Targets of a device and a number of threads have tables of their own: only they can be
    compared. What they say doesn't depend on either, and is in one table.
    """
    # Narrow enough for a terminal of 80 columns.
    for group in groups_of(report):
        rows = group.rows
        beams = [name for name in report["settings"]["searches"] if name != "greedy"]
        _print(
            f"{report['captioner']}, {group.title}: ms; caption times p50 to p99 are greedy",
            ("cold", "prepare", "encode", "per word", "p50", "p90", "p99", *beams),
            rows,
            lambda row, beams=beams: _times(row, beams),
        )
        _print(
            "size, peak memory, processor time, captions a second",
            _COSTS,
            rows,
            _costs,
        )
        baselines = [row["target"] for row in rows if row["target"] in _compared(rows)]
        _print(
            "ratios of caption times, photograph by photograph; greedy words that are the same",
            (
                *(f"{name} / greedy" for name in beams),
                # Broken by hand, for rich cuts long words instead of breaking them at a hyphen.
                *(name.replace("-", "-\n") + " / this" for name in baselines),
                "same words",
            ),
            rows,
            lambda row, beams=beams, names=baselines: _ratios(row, beams, names),
        )
        over_bare = [row for row in rows if row["ratios"]["over_bare"] is not None]
        if over_bare:
            _print(
                "ratios to the bare parts",
                ("caption", "cold start", "many a second"),
                over_bare,
                _over_bare,
            )
    for search in report["settings"]["searches"]:
        scored = _scored(report["rows"], search)
        if scored:
            _print(
                f"{search}: corpus BLEU and CIDEr-D on {scored[0]['quality'][search]['images']} "
                "photographs; captions that are the same; change of BLEU-4",
                ("BLEU-1", "BLEU-4", "95 %", "CIDEr-D", "same", "change", "p"),
                scored,
                lambda row, search=search: _quality(row["quality"][search]),
            )
    for line in _remarks(report):
        # No emoji: "onnx:two:" is a target.
        ERRORS.print(line, markup=False, emoji=False)


def _scored(rows: Sequence[Mapping[str, Any]], search: str) -> list[Mapping[str, Any]]:
    """Give a row of each target with scores: numbers of threads don't change them."""
    found = {row["target"]: row for row in rows if search in row["quality"]}
    return list(found.values())


def _print(
    title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], cells: Any
) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("target", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        name = _FLOOR if row["floor_of"] else folded(row["target"], _NAME_WIDTH)
        table.add_row(name, *cells(row))
    Console(highlight=False).print(table, markup=False)


def _times(row: Mapping[str, Any], beams: Sequence[str]) -> list[str]:
    greedy = row["caption_ms"].get("greedy", {})
    mark = "~" if greedy.get("noisy") else ""
    parts = ("prepare_ms", "encode_ms", "per_word_ms")
    return [
        _number((row["cold_start_ms"] or {}).get("p50")),
        *(_number((row[key] or {}).get("p50")) for key in parts),
        mark + _number(greedy.get("p50")),
        *(_number(greedy.get(key)) for key in ("p90", "p99")),
        *(_number(row["caption_ms"].get(name, {}).get("p50")) for name in beams),
    ]


def _costs(row: Mapping[str, Any]) -> list[str]:
    over = row["peak_over_bare_mb"]
    rates = row["throughput"] or {}
    return [
        "inside" if row.get("searched") == "inside" else row["kind"] or _NONE,
        _NONE if row["file_mb"] is None else f"{row['file_mb']:.1f}",
        _number(row["peak_mb"]),
        _NONE if over is None else f"{over:+.1f}",
        _number((row["cpu_ms"] or {}).get("p50")),
        _number(rates.get("one_stream_per_s")),
        _number(rates.get("saturated_per_s")),
    ]


def _quality(scores: Mapping[str, Any]) -> list[str]:
    bleu, against = scores["bleu4"], scores["against"]
    same = scores["token_exact"]
    change = against["bleu4"] if against else None
    return [
        f"{scores['bleu1']['value']:.1f}",
        f"{bleu['value']:.2f}",
        f"{bleu['low']:.1f}\u2013{bleu['high']:.1f}",
        f"{scores['cider_d']['value']:.3f}",
        _NONE if same is None else f"{same:.1%}",
        _NONE if change is None else f"{change['difference']:+.2f}",
        _NONE if change is None else f"{change['p']:.2f}",
    ]


def _ratios(row: Mapping[str, Any], beams: Sequence[str], baselines: Sequence[str]) -> list[str]:
    ratios, same = row["ratios"], row["same_words"]
    return [
        *(_number(ratios["beam_over_greedy"].get(name.partition(" ")[2])) for name in beams),
        *(_number(ratios["faster_than"].get(name)) for name in baselines),
        # Spaces that don't break.
        f"{same['same']}\u00a0of\u00a0{same['photos']}" if same else _NONE,
    ]


def _over_bare(row: Mapping[str, Any]) -> list[str]:
    names = ("over_bare", "cold_over_bare", "saturated_over_bare")
    return [_number(row["ratios"][name]) for name in names]


def _compared(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for row in rows for name in row["ratios"]["faster_than"]}


def _remarks(report: Mapping[str, Any]) -> list[str]:
    rows = report["rows"]
    failed = {row["target"]: row["error"] for row in rows if row["error"]}
    lines = [f"{target}: {error}" for target, error in failed.items()]
    lines.append(
        "word by: a step from the word before, a run over the whole prefix, or inside the file, "
        "all words in one call"
    )
    reference = next((row["same_words"]["as"] for row in rows if row["same_words"]), None)
    if reference is not None:
        lines.append(f"same words: of the photographs that are timed, as {reference} says")
    against = next(
        (
            scores["against"]["target"]
            for row in rows
            for scores in row["quality"].values()
            if scores["against"]
        ),
        None,
    )
    if against is not None:
        lines.append(f"same, change and p: against {against}, p by approximate randomisation")
    rates = {row["throughput"]["how"] for row in rows if row["throughput"]} - {None}
    if rates:
        lines.append(f"many: captions a second at full load ({'; '.join(sorted(rates))})")
    calibration = report["settings"].get("calibration")
    if calibration:
        lines.append(
            f"calibrated recipes: on up to {calibration['images_at_most']} of "
            f"{calibration['photographs']}, seed {calibration['seed']}"
        )
    lines += [f"disturbed: {reason}" for reason in report["disturbance"]["why"]]
    lines += [
        f"{row['target']} on {row['device']}: disturbed while it was recorded"
        for row in rows
        if row["disturbed"]
    ]
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
    below = {
        row["target"] for row in rows if row["parity"] and row["parity"].get("verdict") == "failed"
    }
    lines += [f"{name}: below its parity gate (edgecap show says where)" for name in sorted(below)]
    lines += _checks(rows)
    if report["interrupted"]:
        lines.append("interrupted: the tables hold what was measured until then")
    return lines


def _checks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which files say here what they said where they were exported, and which don't."""
    checks = {row["target"]: row.get("check") or {} for row in rows}
    passed = [target for target, check in checks.items() if check.get("passed")]
    lines = []
    if passed:
        largest = max(checks[target]["largest"] for target in passed)
        lines.append(
            f"checked: {len(passed)} files say here what they said where they were exported, "
            f"log-probabilities within {largest:.2g}"
        )
    for target, check in checks.items():
        if check.get("passed") is False:
            largest, allowed = check["largest"], check["tolerance"]
            apart = "not finite" if largest is None else f"{largest:.2g} apart"
            lines.append(
                f"{target}: says something else here than where it was exported, log-probabilities "
                f"{apart} ({allowed:.2g} allowed); edgecap check says what"
            )
    return lines


def _number(value: float | None) -> str:
    """Write about three significant digits, at most three decimals."""
    if value is None:
        return _NONE
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"
