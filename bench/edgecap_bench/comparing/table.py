"""A comparison for the terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgecap.console import ERRORS
from edgecap_bench.comparing.comparison import Comparison
from edgecap_bench.comparing.judging import Change, Verdict

__all__ = ["SCHEMA", "as_json", "print_comparison"]

SCHEMA = "edgecap-bench-comparison/1"

_STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "bold red", Verdict.SAME: "dim"}


def print_comparison(comparison: Comparison, *, everything: bool = False) -> None:
    """Print the figures that got better or worse; the rest of what is to be known on stderr.

    everything: whether figures within the noise are listed too.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("row", overflow="fold")
    table.add_column("figure", overflow="fold")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in comparison.rows:
        lines = list(_lines(row.changes, everything))
        if row.verdict != Verdict.SAME:
            failed = "it fails now" if row.verdict == Verdict.WORSE else "it failed before"
            lines.insert(0, (failed, "", "", "", row.verdict))
        for place, (*cells, verdict) in enumerate(lines):
            said = Text(str(verdict), _STYLES[verdict])
            table.add_row("" if place else Text(row.name), *map(Text, cells), said)
    if table.row_count:
        Console(highlight=False).print(table)
    counts = [f"{comparison.count(verdict)} {verdict}" for verdict in Verdict]
    Console(highlight=False).print(f"{', '.join(counts)} within the noise", markup=False)
    for line in _remarks(comparison):
        ERRORS.print(line, markup=False)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Give a comparison for a program: counts, and every figure with its verdict."""
    return {
        "schema": SCHEMA,
        **{str(verdict): comparison.count(verdict) for verdict in Verdict},
        "rows": [
            {
                "row": row.name,
                "verdict": str(row.verdict),
                "error": row.error,
                "figures": [
                    {
                        "figure": change.figure,
                        "before": change.before,
                        "after": change.after,
                        "relative": change.relative,
                        "verdict": str(change.verdict),
                    }
                    for change in row.changes
                ],
            }
            for row in comparison.rows
        ],
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
        "notes": list(comparison.notes),
    }


def _lines(changes: Any, everything: bool) -> Iterator[tuple[str, str, str, str, Verdict]]:
    for change in changes:
        if everything or change.verdict != Verdict.SAME:
            yield (
                change.figure,
                _number(change.before),
                _number(change.after),
                _moved(change),
                change.verdict,
            )


def _remarks(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        if row.error:
            yield f"{row.name}: {row.error}"
    for name in comparison.only_before:
        yield f"only in the first report: {name}"
    for name in comparison.only_after:
        yield f"only in the second report: {name}"
    yield from comparison.notes


def _moved(change: Change) -> str:
    if change.relative is None or ", over " in change.figure:  # a difference to another target
        return f"{change.after - change.before:+.3f}"
    return f"{change.relative:+.1%}"


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3}f}"
