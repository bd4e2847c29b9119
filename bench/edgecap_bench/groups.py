"""Rows that can be compared: those of one device and one number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecap_bench.html.words import plural
from edgecap_bench.report import HERE

__all__ = ["Group", "groups_of"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """The rows of one device and number of threads."""

    title: str
    """Names the device and the threads."""
    rows: Sequence[Row]
    """Its rows, in the report's order."""

    @property
    def targets(self) -> list[Row]:
        """The rows that caption: no bare parts."""
        return [row for row in self.rows if row["floor_of"] is None]


def groups_of(report: Mapping[str, Any]) -> list[Group]:
    """Give the groups in the report's order.

    A row to which threads say nothing stands with the first group of its device.
    """
    first: dict[str, int | None] = {}
    for row in report["rows"]:
        if first.get(row["device"]) is None:
            first[row["device"]] = row["threads"]
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in report["rows"]:
        threads = first[row["device"]] if row["threads"] is None else row["threads"]
        found.setdefault((row["device"], threads), []).append(row)
    return [
        Group(_title(report, device, threads), rows) for (device, threads), rows in found.items()
    ]


def _title(report: Mapping[str, Any], device: str, threads: int | None) -> str:
    name = str(report["machine"]["cpu"]) if device == HERE else device
    return name if threads is None else f"{name}, {plural(threads, 'thread')}"
