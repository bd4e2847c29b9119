from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.schema import READ, check_report, read_report
from edgecap_runtime.errors import OptionError

from .reports import FULL, full_report


@pytest.mark.parametrize(
    "report",
    [
        full_report(),
        full_report(FULL[:1], threads=(2,), gpu=False, pi=False, scored=False),
        full_report([], pi=False),
        {**full_report(FULL[:1]), "a key of a later day": 1},
    ],
    ids=["full", "one row", "nothing measured", "unknown key"],
)
def test_reports_are_legal(report: dict[str, Any]) -> None:
    check_report(report)


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Make a report with one value put in another's place, or without it for `...`."""
    report = json.loads(json.dumps(full_report(FULL[:3], threads=(2,))))
    *steps, last = path.split("/")
    inner = report
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return report


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("rows", {}, "The report's rows is {} and must be a list;"),
        ("machine", ..., "The report lacks machine;"),
        ("rows/1/caption_ms/greedy/p50", "7", 'rows[1].caption_ms.greedy.p50 is "7" and must be'),
        ("rows/1/caption_ms/greedy/p50", -1, "p50 is -1 and must be 0 or more"),
        ("rows/3/quality/beam 3/cider_d", ..., "The report lacks rows[3].quality.beam 3.cider_d"),
        ("rows/2/quality/greedy/token_exact", 1.5, "token_exact is 1.5 and must be 1 or less"),
        ("rows/1/peak_mb", True, "peak_mb is true and must be a number or null"),
        ("rows/1/words_by_steps/many", 3, 'the key "many" in rows[1].words_by_steps'),
        ("rows/1/caption_ms/greedy/p50_interval", [1], "must have 2 items or more"),
        ("rows/1/device", "attic", "rows[1].device is 'attic', which is none of its devices"),
        ("settings/threads", [], "settings.threads is [] and must have 1 items or more"),
        ("rows/2/target", "keras", "two rows of keras, 2 threads, this machine"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(path: str, value: Any, said: str) -> None:
    with pytest.raises(OptionError) as raised:
        check_report(_changed(path, value))
    sentence = str(raised.value)
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("edgecap-bench/1", "measure again, or read it with the edgecap that wrote it"),
        ("edgecap-bench/3", "read it with the edgecap that wrote it, or a later one"),
        ("edgecap-device-bench/1", "no report of edgecap's benchmark"),
        (None, "no report of edgecap's benchmark: its schema is null"),
    ],
)
def test_other_versions_are_refused(found: str | None, said: str) -> None:
    with pytest.raises(OptionError, match=said) as raised:
        check_report({"schema": found})
    assert READ in str(raised.value)


@pytest.mark.parametrize("report", [None, [], "report", 3])
def test_what_is_no_report_at_all_is_refused(report: Any) -> None:
    with pytest.raises(OptionError, match="no report"):
        check_report(report)


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report = full_report(FULL[:1])
    path.write_text(json.dumps(report))
    assert read_report(path) == report


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b'{"schema": NaN}', "NaN is no number"),
        (b"{}", "report.json: This is no report"),
    ],
)
def test_files_that_are_no_reports(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=said) as raised:
        read_report(path)
    assert "report.json" in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="can't be read"):
        read_report(tmp_path / "none.json")
