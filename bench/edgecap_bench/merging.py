"""Rows that were recorded on another device, put into a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap_bench.report import HERE, SCHEMA, empty_row
from edgecap_runtime.errors import OptionError
from edgecap_runtime.options import search_name

__all__ = ["Recording", "merged", "read_recording", "recorded"]

DEVICE_SCHEMA = "edgecap-device-bench/1"
"""What `edgecap-runtime bench --json` writes."""


@dataclass(frozen=True)
class Recording:
    """What another device measured."""

    machines: Mapping[str, Mapping[str, Any]]
    """What is known of each device, by the name that rows have it under."""
    rows: Sequence[Mapping[str, Any]]
    """Its rows, in a report's form."""


def read_recording(text: str) -> Recording:
    """Read what a user named: FILE, or NAME=FILE with what the device is to be called.

    Raises `OptionError` for a file that can't be read or holds no recording.
    """
    name, equals, path = text.rpartition("=")
    if equals and not name:
        raise OptionError(f"--merge is {text!r}; give FILE or NAME=FILE.")
    try:
        report = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise OptionError(f"The recording {path!r} can't be read: {problem}.") from None
    return recorded(report, name or None, path)


def recorded(report: Any, name: str | None, where: str) -> Recording:
    """Take a report of another device.

    name: what the device is called, None for what it says of itself; where: for the error.
    """
    schema = report.get("schema") if isinstance(report, dict) else None
    try:
        if schema == SCHEMA:
            return _of_benchmark(report, name)
        if schema == DEVICE_SCHEMA:
            return _of_device(report, name)
    except (KeyError, TypeError, AttributeError) as problem:
        raise OptionError(
            f"The recording {where!r} says that it is {schema} but lacks {problem}; record it "
            "again."
        ) from None
    raise OptionError(
        f"The recording {where!r} is no report of this benchmark ({SCHEMA}) or of `edgecap-runtime "
        f"bench --json` ({DEVICE_SCHEMA}), but {schema or 'something else'}; record it again."
    )


def merged(report: Mapping[str, Any], recordings: Sequence[Recording]) -> dict[str, Any]:
    """Give the report with the rows of other devices behind its own."""
    rows, devices = list(report["rows"]), dict(report["devices"])
    for recording in recordings:
        renamed = {}
        for name, machine in recording.machines.items():
            free, count = name, 2
            while free in devices:
                free, count = f"{name} ({count})", count + 1
            renamed[name] = free
            devices[free] = machine
        rows += [{**row, "device": renamed[row["device"]]} for row in recording.rows]
    return {**report, "rows": rows, "devices": devices}


def _of_benchmark(report: Mapping[str, Any], name: str | None) -> Recording:
    own = name or str(report["machine"]["cpu"])
    machines = {own if key == HERE else key: value for key, value in report["devices"].items()}
    disturbed = bool(report["disturbance"]["disturbed"])
    rows = [
        {
            **row,
            "device": own if row["device"] == HERE else row["device"],
            "disturbed": row["disturbed"] or (disturbed and row["device"] == HERE),
        }
        for row in report["rows"]
    ]
    return Recording(machines, rows)


def _of_device(report: Mapping[str, Any], name: str | None) -> Recording:
    file, settings, times = report["file"], report["settings"], report["times_ms"]
    machine, health = report["machine"], report.get("health") or {}
    device = name or str(machine.get("model") or machine.get("cpu"))
    suffix = Path(file["name"]).suffix.lstrip(".")
    search = search_name(settings["beam"])
    greedy = settings["beam"] == 1
    mean_per_s = 1e3 / times["caption"]["p50"]
    row = {
        **empty_row(f"{suffix}:{file['recipe']}", settings["threads"], device),
        "recipe": file["recipe"],
        "kind": file["kind"],
        "files": [{key: file[key] for key in ("name", "bytes", "sha256")}],
        "file_mb": file["bytes"] / 1e6,
        "check": report.get("check"),
        "load_ms": report["load_ms"]["first"],
        "caption_ms": {search: {**times["caption"], "p50_interval": None, "noisy": False}},
        "photos": settings["photos"]["count"],
        "peak_mb": report["memory_mb"]["peak"],
        "disturbed": bool((health.get("after") or {}).get("throttled")),
    }
    if greedy:  # as the columns of a report are
        row |= {
            "prepare_ms": times["prepare"],
            "encode_ms": times["encode"],
            "words_ms": times["decode"],
            "per_word_ms": times["per_word"],
            "steps": report["steps"],
            "throughput": {"one_stream_per_s": mean_per_s, "saturated_per_s": None, "how": None},
        }
    return Recording({device: machine}, [row])
