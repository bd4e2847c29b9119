"""Rows from other devices: files that were recorded there, and hosts that are asked by ssh."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.energy import joules, joules_between
from edgecap_bench.merging import merged, read_recording
from edgecap_bench.remote import measure_remotely
from edgecap_bench.report import HERE, SCHEMA, empty_row
from edgecap_runtime.errors import EdgecapError, OptionError


def times(ms: float) -> dict[str, float]:
    return {"p50": ms, "p90": ms + 1, "p99": ms + 2, "max": ms + 3, "count": 30}


def of_device(**changes: Any) -> dict[str, Any]:
    """What `edgecap-runtime bench --json` writes."""
    return {
        "schema": "edgecap-device-bench/1",
        "file": {
            "name": "tiny-static-int8.tflite", "bytes": 7_000_000, "sha256": "0" * 64,
            "captioner": "tiny", "encoder": "mobilenet", "decoder": "lstm", "kind": "step",
            "recipe": "static-int8", "words": 2541,
        },
        "settings": {
            "threads": 4, "beam": 1, "rounds": 30,
            "photos": {"source": "synthetic", "count": 1, "names": []},
        },
        "load_ms": {"first": 90.0, "again": 9.0, "first_caption": 60.0},
        "times_ms": {
            name: times(ms)
            for name, ms in {
                "prepare": 8, "encode": 30, "per_word": 1, "decode": 10, "caption": 50
            }.items()
        },
        "steps": times(10),
        "cpu_s_per_caption": 0.1,
        "memory_mb": {"before_load": 30.0, "peak": 70.0},
        "machine": {"model": "Raspberry Pi 5 Model B", "cpu": "Cortex-A76", "cores": 4},
        "health": {"before": {"throttled": []}, "after": {"throttled": []}},
        **changes,
    }  # fmt: skip


def report() -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "machine": {"cpu": "some processor"},
        "devices": {HERE: {"cpu": "some processor"}},
        "disturbance": {"disturbed": True},
        "rows": [empty_row("keras", 2, HERE)],
    }


def written(folder: Path, content: Any, name: str = "pi.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_row_recorded_on_a_device_joins(tmp_path: Path) -> None:
    path = written(tmp_path, of_device())
    whole = merged(report(), [read_recording(str(path)), read_recording(f"my Pi={path}")])
    own, pi, mine = whole["rows"]
    assert own["device"] == HERE
    assert pi["device"] == "Raspberry Pi 5 Model B"
    assert mine["device"] == "my Pi"
    assert set(whole["devices"]) == {HERE, "Raspberry Pi 5 Model B", "my Pi"}
    assert (pi["target"], pi["threads"], pi["kind"]) == ("tflite:static-int8", 4, "step")
    assert pi["caption_ms"]["greedy"]["p50"] == 50
    assert pi["encode_ms"]["p50"] == 30
    assert (pi["file_mb"], pi["peak_mb"], pi["load_ms"]) == (7.0, 70.0, 90.0)
    assert pi["throughput"]["one_stream_per_s"] == 20
    assert not pi["disturbed"]
    assert set(pi) == set(own)


def test_a_throttled_device_is_marked(tmp_path: Path) -> None:
    hot = of_device(health={"after": {"throttled": ["throttled"]}})
    (row,) = read_recording(str(written(tmp_path, hot))).rows
    assert row["disturbed"]


def test_a_beam_stands_in_a_column_of_its_own(tmp_path: Path) -> None:
    settings = {**of_device()["settings"], "beam": 3}
    (row,) = read_recording(str(written(tmp_path, of_device(settings=settings)))).rows
    assert list(row["caption_ms"]) == ["beam 3"]
    assert row["encode_ms"] is None


def test_a_whole_report_joins_under_another_name(tmp_path: Path) -> None:
    path = written(tmp_path, report())
    whole = merged(report(), [read_recording(f"desk={path}"), read_recording(f"desk={path}")])
    assert [row["device"] for row in whole["rows"]] == [HERE, "desk", "desk (2)"]
    assert [row["disturbed"] for row in whole["rows"]] == [False, True, True]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("no JSON", "can't be read"),
        ({"schema": "edgecap-bench/1"}, "is no report of this benchmark"),
        ({"schema": "edgecap-device-bench/1", "file": {}}, "lacks"),
        ([1], "is no report of this benchmark"),
    ],
)
def test_what_is_no_recording_is_refused(content: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=sentence):
        read_recording(str(written(tmp_path, content)))


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"gone\.json"):
        read_recording(str(tmp_path / "gone.json"))
    with pytest.raises(OptionError, match="NAME=FILE"):
        read_recording("=pi.json")


_SSH = """#!/bin/sh
# A host that answers as edgecap-runtime does, and writes down what it is asked.
echo "$0 $@" >> {log}
case "$*" in
*refuse*) echo "no route to host" >&2; exit 255;;
*--json*) cat {answer};;
esac
"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts an `ssh` and an `scp` that only pretend first in the path; gives their log."""
    log, folder = tmp_path / "asked.log", tmp_path / "bin"
    folder.mkdir()
    answer = written(tmp_path, of_device())
    for name in ("ssh", "scp"):
        program = folder / name
        program.write_text(_SSH.format(log=log, answer=answer))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def exported(folder: Path) -> dict[str, Any]:
    row = empty_row("tflite:static-int8", 1, HERE)
    row["files"] = [{"name": "tiny-static-int8.tflite", "bytes": 1, "sha256": "0" * 64}]
    (folder / "tiny-static-int8.tflite").write_bytes(b"x")
    return {**report(), "rows": [row, {**row, "threads": 2}]}


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_a_host_measures_each_file_with_each_number_of_threads(hosts: Path, tmp_path: Path) -> None:
    found = measure_remotely("pi@pi5", exported(tmp_path), tmp_path, [1, 4], silent)
    assert len(found.rows) == 2
    asked = hosts.read_text().splitlines()
    assert sum("scp" in line.split()[0] for line in asked) == 1
    assert [line.rpartition("--threads ")[2] for line in asked if "bench" in line and "ssh" in line
            and "--json" in line] == ["1", "4"]  # fmt: skip


def test_a_host_that_can_not_be_reached_says_so(hosts: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecapError, match=r"refuse@pi5: .*no route to host"):
        measure_remotely("refuse@pi5", exported(tmp_path), tmp_path, None, silent)
    with pytest.raises(EdgecapError, match="no exported file"):
        measure_remotely("pi@pi5", report(), tmp_path, None, silent)


def meter(folder: Path, name: str, counter: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{counter}\n")
    (folder / name / "max_energy_range_uj").write_text("10000000\n")


def test_energy_is_that_of_all_packages_and_counters_begin_anew(tmp_path: Path) -> None:
    assert joules(tmp_path) is None
    meter(tmp_path, "intel-rapl:0", 9_000_000)
    meter(tmp_path, "intel-rapl:1", 1_000_000)
    meter(tmp_path, "intel-rapl:0:0", 5)  # a part of package 0
    before = joules(tmp_path)
    meter(tmp_path, "intel-rapl:0", 1_000_000)
    meter(tmp_path, "intel-rapl:1", 1_500_000)
    after = joules(tmp_path)
    assert before is not None
    assert after is not None
    assert joules_between(before, after) == pytest.approx(2.0 + 0.5)
