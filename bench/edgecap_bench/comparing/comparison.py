"""Two reports, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecap_bench.comparing.figures import Figure, costs_of, metrics_of
from edgecap_bench.comparing.judging import Change, Verdict, judge
from edgecap_bench.schema import row_name
from edgecap_runtime.errors import OptionError

__all__ = ["Comparison", "RowComparison", "compare_reports"]

Report = Mapping[str, Any]
Row = Mapping[str, Any]

_MACHINE = ("cpu", "model", "architecture", "cores_allowed", "memory_mb")
"""What makes a machine the same; versions and the system are what one compares."""


@dataclass(frozen=True)
class RowComparison:
    """A row that both reports have."""

    name: str
    """Its target, threads and device."""
    changes: Sequence[Change]
    """Its figures that both have."""
    error: str | None = None
    """Why it could not be measured in the second report, or None."""
    verdict: Verdict = Verdict.SAME
    """Whether it began to fail (worse) or ceased to (better)."""


@dataclass(frozen=True)
class Comparison:
    """What came out."""

    rows: Sequence[RowComparison]
    """The rows that both reports have, in the first's order."""
    only_before: Sequence[str]
    """Names of rows that the first alone has."""
    only_after: Sequence[str]
    """Names of rows that the second alone has."""
    notes: Sequence[str]
    """What else is to be known, a sentence each."""

    def count(self, verdict: Verdict) -> int:
        """Count the figures, and rows that began or ceased to fail, of a verdict."""
        figures = sum(change.verdict == verdict for row in self.rows for change in row.changes)
        if verdict == Verdict.SAME:
            return figures
        return figures + sum(row.verdict == verdict for row in self.rows)


def compare_reports(
    before: Report, after: Report, *, tolerance: float = 0.05, across_machines: bool = False
) -> Comparison:
    """Compare two reports that `schema.check_report` lets pass.

    tolerance: the share by which a cost must move at least, 0 or more; across_machines: whether
    reports of different machines are compared at all.
    Raises `OptionError` for an illegal tolerance, for different machines, and where there is
    nothing that both measured.
    """
    if not 0 <= tolerance < float("inf"):
        raise OptionError(f"tolerance is {tolerance}; give a share of 0 or more, such as 0.05.")
    ours, theirs = _by_key(before), _by_key(after)
    common = [key for key in ours if key in theirs]
    notes = _notes(before, after)
    for device in dict.fromkeys(device for _, _, device in common):
        differ = _different(before["devices"][device], after["devices"][device])
        if differ and not across_machines:
            raise OptionError(
                f"The reports are of different machines ({device}: {differ}); give "
                "--across-machines to compare them all the same."
            )
        if differ:
            notes.append(f"different machines: {device}: {differ}")
    timed = before["settings"]["photos"] == after["settings"]["photos"]
    if not timed:
        notes.append("different photographs were timed: times are not compared")
    scored = _scored(before) == _scored(after)
    if not scored and _scored(before)[1] and _scored(after)[1]:
        notes.append("different images were scored: quality is not compared")
    paired = _pairing(before, after)
    rows = []
    said: set[tuple[str, str]] = set()
    for target, threads, device in common:
        # What a target says doesn't depend on threads, so its quality is compared once.
        quality = scored and (target, device) not in said
        pair = (ours[target, threads, device], theirs[target, threads, device])
        rows.append(_compare_row(*pair, tolerance, timed, quality, paired))
        if pair[0]["quality"] and pair[1]["quality"]:
            said.add((target, device))
    if not any(row.changes or row.verdict != Verdict.SAME for row in rows):
        raise OptionError(
            "The reports have no figure in common; compare reports of the same targets, threads "
            "and photographs."
        )
    return Comparison(
        rows,
        [row_name(row) for key, row in ours.items() if key not in theirs],
        [row_name(row) for key, row in theirs.items() if key not in ours],
        notes,
    )


def _compare_row(
    before: Row,
    after: Row,
    tolerance: float,
    timed: bool,
    scored: bool,
    paired: Callable[[str, str], bool],
) -> RowComparison:
    name = row_name(before)
    if bool(before["error"]) != bool(after["error"]):
        verdict = Verdict.WORSE if after["error"] else Verdict.BETTER
        return RowComparison(name, (), after["error"], verdict)
    if after["error"]:
        return RowComparison(name, (), after["error"])
    first, second = (_figures(row, timed, scored, paired) for row in (before, after))
    changes = [
        judge(figure, second[key], tolerance) for key, figure in first.items() if key in second
    ]
    return RowComparison(name, changes)


def _figures(
    row: Row, timed: bool, scored: bool, paired: Callable[[str, str], bool]
) -> dict[str, Figure]:
    """Give the figures that can be compared, by name."""
    costs = list(costs_of(row))
    if not timed:  # files and memory don't depend on the photographs
        costs = [figure for figure in costs if figure.name.endswith("MB")]
    metrics = list(metrics_of(row, paired)) if scored else []
    return {figure.name: figure for figure in (*costs, *metrics)}


def _pairing(before: Report, after: Report) -> Callable[[str, str], bool]:
    """Say of a search and a target whether it scored the same in both reports."""

    def scores(report: Report) -> dict[tuple[str, str], dict[str, float]]:
        return {
            (search, row["target"]): {
                key: score["value"] for key, score in found.items() if _is_score(score)
            }
            for row in report["rows"]
            for search, found in row["quality"].items()
        }

    ours, theirs = scores(before), scores(after)
    return lambda search, target: (
        (search, target) in ours and ours[search, target] == theirs.get((search, target))
    )


def _is_score(found: Any) -> bool:
    return isinstance(found, Mapping) and "value" in found


def _by_key(report: Report) -> dict[tuple[str, int | None, str], Row]:
    return {(row["target"], row["threads"], row["device"]): row for row in report["rows"]}


def _scored(report: Report) -> tuple[Any, int]:
    return report["settings"]["split"], report["settings"]["quality_images"]


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say how two machines differ, in what both tell."""
    return "; ".join(
        f"{key} {before[key]} and {after[key]}"
        for key in _MACHINE
        if key in before and key in after and before[key] != after[key]
    )


def _notes(before: Report, after: Report) -> list[str]:
    notes = []
    for which, report in (("first", before), ("second", after)):
        disturbance = report["disturbance"]
        if disturbance["disturbed"]:
            why = "; ".join(disturbance["why"]) or "it doesn't say by what"
            notes.append(f"the {which} report's run was disturbed: {why}")
        if report["interrupted"]:
            notes.append(f"the {which} report's run was interrupted")
        disturbed = [row_name(row) for row in report["rows"] if row["disturbed"]]
        if disturbed:
            notes.append(f"the {which} report's rows were disturbed: {'; '.join(disturbed)}")
    if before["captioner"] != after["captioner"]:
        notes.append(f"different captioners: {before['captioner']} and {after['captioner']}")
    return notes
