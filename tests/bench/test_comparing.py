from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecap_bench.comparing import Comparison, Verdict, compare_reports
from edgecap_bench.comparing.command import compare
from edgecap_bench.comparing.table import as_json
from edgecap_runtime.errors import OptionError

from .reports import FULL, PI, Made, full_report

COMPARE = Path(__file__).parents[2] / "bench" / "compare.py"
TFLITE = FULL[4]
assert TFLITE.target == "tflite:static-int8"


def _with(**changes: Any) -> list[Made]:
    """Give the full run's targets, static-int8 in TFLite changed."""
    return [replace(made, **changes) if made is TFLITE else made for made in FULL]


def _moved(comparison: Comparison, verdict: Verdict) -> set[tuple[str, str]]:
    return {
        (row.name, change.figure)
        for row in comparison.rows
        for change in row.changes
        if change.verdict == verdict
    }


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_same_again_is_within_the_noise(seed: int) -> None:
    comparison = compare_reports(full_report(seed=0), full_report(seed=seed))
    assert _moved(comparison, Verdict.WORSE) == _moved(comparison, Verdict.BETTER) == set()
    assert comparison.count(Verdict.SAME) > 200
    assert not comparison.only_before
    assert not comparison.only_after


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        (
            {"encode": 3.6},
            {"caption greedy ms", "caption beam 3 ms", "encode ms", "processor ms"}
            | {"saturated captions/s"},
        ),
        ({"size": 8.0}, {"file MB"}),
        ({"peak": 90.0}, {"peak memory MB"}),
        ({"cold": 260.0}, {"cold start ms"}),
        ({"same": 0.80}, {"same captions greedy", "same captions beam 3"}),
    ],
)
def test_worse_is_worse_and_the_other_way_round_better(
    changes: dict[str, float], figures: set[str]
) -> None:
    before, after = full_report(threads=(1,)), full_report(_with(**changes), threads=(1,), seed=1)
    name = "tflite:static-int8, 1 thread, this machine"
    expected = {(name, figure) for figure in figures}
    there, back = compare_reports(before, after), compare_reports(after, before)
    assert _moved(there, Verdict.WORSE) == _moved(back, Verdict.BETTER) == expected
    assert _moved(there, Verdict.BETTER) == _moved(back, Verdict.WORSE) == set()


def test_a_move_within_the_tolerance_is_none() -> None:
    before, after = full_report(), full_report(_with(size=7.8, peak=81.0))
    assert not compare_reports(before, after).count(Verdict.WORSE)
    assert compare_reports(before, after, tolerance=0.01).count(Verdict.WORSE) == 4


def test_a_large_move_of_a_noisy_median_is_none() -> None:
    before = full_report(FULL[:1], threads=(1,), gpu=False, pi=False)
    after = copy.deepcopy(before)
    for report, p50, interval in ((before, 10.0, [8.0, 12.0]), (after, 12.0, [10.0, 14.0])):
        times = report["rows"][0]["caption_ms"]["greedy"]
        times.update(p50=p50, p50_interval=interval, noisy=True)
    assert not compare_reports(before, after).count(Verdict.WORSE)
    for report, interval in ((before, [9.9, 10.1]), (after, [11.9, 12.1])):
        report["rows"][0]["caption_ms"]["greedy"]["p50_interval"] = interval
    assert _moved(compare_reports(before, after), Verdict.WORSE) == {
        ("keras, 1 thread, this machine", "caption greedy ms")
    }


def test_quality_is_judged_by_paired_differences_and_once() -> None:
    worse = compare_reports(full_report(), full_report(_with(bleu4=19.2)))
    found = _moved(worse, Verdict.WORSE)
    assert ("tflite:static-int8, 1 thread, this machine", "bleu4 greedy, over keras") in found
    assert {name for name, _ in found} == {"tflite:static-int8, 1 thread, this machine"}


def test_quality_over_a_reference_that_changed_too_is_not_paired() -> None:
    before = full_report(threads=(1,))
    after = full_report(
        [replace(made, bleu4=made.bleu4 * 0.85) for made in FULL], threads=(1,), seed=1
    )
    found = _moved(compare_reports(before, after), Verdict.WORSE)
    assert ("keras, 1 thread, this machine", "bleu4 greedy") in found
    assert ("tflite:static-int8, 1 thread, this machine", "bleu4 greedy") in found


def test_rows_that_fail_now_are_worse() -> None:
    before, after = full_report(), full_report()
    row = next(row for row in after["rows"] if row["target"] == "onnx:float32")
    row["error"] = "the process ended by SIGSEGV"
    there = compare_reports(before, after)
    assert there.count(Verdict.WORSE) == 1
    assert compare_reports(after, before).count(Verdict.BETTER) == 1
    assert as_json(there)["rows"][7]["error"] == "the process ended by SIGSEGV"


def test_rows_of_one_report_alone_are_named() -> None:
    comparison = compare_reports(full_report(FULL[:4]), full_report(FULL[2:6], pi=False))
    assert set(comparison.only_before) == {
        *(f"{name}, 1 thread, this machine" for name in ("keras", "notebook")),
        *(f"{name}, 2 threads, this machine" for name in ("keras", "notebook")),
        f"tflite:static-int8, 2 threads, {PI}",
    }
    assert len(comparison.only_after) == 4
    assert not comparison.count(Verdict.WORSE)


def _other_machine(report: dict[str, Any]) -> None:
    report["machine"]["cpu"] = report["devices"]["this machine"]["cpu"] = "AMD EPYC"


def test_other_machines_are_refused_unless_wanted() -> None:
    before, after = full_report(), full_report()
    _other_machine(after)
    with pytest.raises(OptionError, match=r"AMD EPYC.*--across-machines"):
        compare_reports(before, after)
    comparison = compare_reports(before, after, across_machines=True)
    assert any("AMD EPYC" in note for note in comparison.notes)


def test_other_photographs_and_images_are_not_compared() -> None:
    before, after = full_report(), full_report(_with(encode=30.0, bleu4=10.0, size=20.0))
    after["settings"]["photos"] = ["another.jpg"]
    after["settings"]["quality_images"] = 50
    comparison = compare_reports(before, after)
    assert {figure for _, figure in _moved(comparison, Verdict.WORSE)} == {"file MB"}
    assert len([note for note in comparison.notes if note.startswith("different")]) == 2


def test_disturbed_and_interrupted_runs_are_named() -> None:
    after = full_report(pi=False)
    after["disturbance"].update(disturbed=True, why=["the machine was busy before (load 3.1)"])
    after["interrupted"] = True
    notes = compare_reports(full_report(pi=False), after).notes
    assert notes == [
        "the second report's run was disturbed: the machine was busy before (load 3.1)",
        "the second report's run was interrupted",
    ]


@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), float("inf")])
def test_illegal_tolerances(tolerance: float) -> None:
    with pytest.raises(OptionError, match="tolerance is"):
        compare_reports(full_report(FULL[:1]), full_report(FULL[:1]), tolerance=tolerance)


def test_nothing_in_common() -> None:
    with pytest.raises(OptionError, match="no figure in common"):
        compare_reports(full_report(FULL[:1], pi=False), full_report(FULL[1:2], pi=False))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, dict[str, Any]], str]:
    def write_report(name: str, report: dict[str, Any]) -> str:
        path = tmp_path / name
        path.write_text(json.dumps(report))
        return str(path)

    return write_report


def test_the_command_s_status_and_table(write: Callable[[str, dict[str, Any]], str]) -> None:
    before = write("before.json", full_report(threads=(1,)))
    after = write("after.json", full_report(_with(encode=3.6), threads=(1,), seed=1))
    worse = CliRunner().invoke(compare, [before, after], env={"COLUMNS": "100"})
    assert worse.exit_code == 1
    assert "caption greedy ms" in worse.stdout
    assert "tflite:float32" not in worse.stdout
    better = CliRunner().invoke(compare, [after, before, "--all"], env={"COLUMNS": "100"})
    assert better.exit_code == 0
    assert "tflite:float32" in better.stdout
    answer = json.loads(CliRunner().invoke(compare, [before, after, "--json"]).stdout)
    assert answer["schema"] == "edgecap-bench-comparison/1"
    assert answer["worse"] == sum(
        figure["verdict"] == "worse" for row in answer["rows"] for figure in row["figures"]
    )


@pytest.mark.parametrize(
    ("first", "said"),
    [({"schema": "edgecap-bench/1"}, "measure again"), ({}, "no report"), (None, "can't be read")],
)
def test_bad_input_ends_with_one_sentence_and_status_2(
    first: dict[str, Any] | None, said: str, write: Callable[[str, dict[str, Any]], str]
) -> None:
    before = "none.json" if first is None else write("before.json", first)
    done = subprocess.run(
        [sys.executable, str(COMPARE), before, write("after.json", full_report())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
