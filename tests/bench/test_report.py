from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from edgecap_bench.measure import Row, Timed
from edgecap_bench.names import folded
from edgecap_bench.picture import break_between, draw_report
from edgecap_bench.report import build_rows
from edgecap_bench.sample import Sample
from edgecap_bench.table import print_report
from edgecap_bench.targets import Plan


def _row(plan: Plan, times: dict[int, list[float]], ids: list[int], peak_mb: float = 50) -> Row:
    """Make a row of one photograph, its caption times by beam, a round each."""
    row = Row(plan, import_ms=1, load_ms=2, peak_mb=peak_mb, kind="step")
    for beam, values in times.items():
        for place, value in enumerate(values):
            # Parts that leave 10 % of the whole to nobody.
            sample = Sample(
                value * 0.1, value * 0.3, value * 0.5, value, value * 2, 4, ids, ["a", "dog"]
            )
            row.timed.append(Timed(place, 0, beam, sample))
            row.said[0, beam] = sample
    return row


@pytest.fixture
def rows() -> list[Row]:
    broken = Row(Plan("broken", ()), error="the process ended by SIGSEGV")
    return [
        _row(Plan("slow", (), baseline=True, beams=False), {1: [800, 1000, 1200]}, [4, 5], 600),
        _row(Plan("quick", ()), {1: [10, 10, 10], 3: [13, 13, 13]}, [4, 5], 57),
        _row(Plan("bare quick", (), floor_of="quick", beams=False), {1: [10, 10, 10]}, [4, 6]),
        broken,
    ]


def test_ratios_memory_and_words(rows: list[Row]) -> None:
    slow, quick, bare, broken = build_rows(rows, {"quick": {1: {"images": 9}}}, 0)
    assert quick["ratios"]["faster_than"] == {"slow": pytest.approx(100)}
    assert quick["ratios"]["over_bare"] == pytest.approx(10 / 9)  # over the sum of bare PARTS
    assert quick["ratios"]["beam_over_greedy"] == {"3": pytest.approx(1.3)}
    assert quick["peak_over_bare_mb"] == 7
    assert quick["per_word_ms"]["p50"] == pytest.approx(5 / 4)
    assert quick["quality"] == {"greedy": {"images": 9}}
    assert quick["same_words"] == {"as": "slow", "photos": 1, "same": 1}
    assert bare["same_words"]["same"] == 0
    assert bare["ratios"]["over_bare"] is None
    assert slow["ratios"]["faster_than"] == {}
    assert broken["error"] == "the process ended by SIGSEGV"
    assert broken["caption_ms"] == {}


def test_noise_is_marked(rows: list[Row]) -> None:
    slow, quick, *_ = build_rows(rows, {}, 0)
    assert slow["caption_ms"]["greedy"]["noisy"]
    assert not quick["caption_ms"]["greedy"]["noisy"]


def _report(rows: list[Row]) -> dict[str, object]:
    return {
        "captioner": "tiny",
        "interrupted": False,
        "settings": {
            "threads": [2],
            "rounds": 3,
            "searches": ["greedy", "beam 3"],
            "calibration": {"photographs": "the samples", "images_at_most": 128, "seed": 0},
        },
        "machine": {"cpu": "some processor"},
        "devices": {"this machine": {"cpu": "some processor"}},
        "disturbance": {"why": ["the machine was busy before (load 7.2)"]},
        "import_cost": {"tflite": {"error": "importing failed"}},
        "rows": build_rows(rows, {}, 0),
    }


def test_report_is_json_and_drawn(rows: list[Row], tmp_path: Path) -> None:
    report = _report(rows)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    draw_report(report, tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
        colours = {colour for _, colour in picture.convert("RGB").getcolors(2**24) or ()}
    assert {(0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73)} <= colours


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    draw_report(_report([Row(Plan("broken", ()), error="gone")]), tmp_path / "report.png")
    assert not (tmp_path / "report.png").exists()


def test_tables_say_what_failed(rows: list[Row], capsys: pytest.CaptureFixture[str]) -> None:
    print_report(_report(rows))
    said = capsys.readouterr()
    assert "slow" in said.out
    assert "~1000" in said.out
    assert "SIGSEGV" in said.err
    assert "importing failed" in said.err
    assert "load 7.2" in said.err
    assert "calibrated recipes: on up to 128 of the samples, seed 0" in " ".join(said.err.split())


LONG = "mobilenet_v3_large-merge-bilstm-dynamic-int8.tflite"


def test_long_names_stay_readable_beside_their_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    labels = ("notebook-compiled", "tflite:dynamic-int8", LONG)
    rows = [_row(Plan(label, ()), {1: [1234.5] * 3, 3: [1345.6] * 3}, [4, 5]) for label in labels]
    rows[-1].kind = "prefix"
    print_report(_report(rows))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    for label in labels:
        first, *others = folded(label, 19).split("\n")
        places = [place for place, line in enumerate(lines) if line.startswith(f" {first} ")]
        assert len(places) >= 3
        for place in places:
            found = [line.split()[0] for line in lines[place + 1 : place + 1 + len(others)]]
            assert found == others
        timed, weighed, *_ = (lines[place].split() for place in places)
        assert {"1234", "1346"} <= set(timed)
        assert ("prefix" if label == LONG else "step") in weighed


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("keras", ["keras"]),
        ("tflite:dynamic-int8", ["tflite:dynamic-int8"]),
        (LONG, ["mobilenet_v3_large-", "merge-bilstm-", "dynamic-int8.tflite"]),
        ("a" * 40, ["a" * 18, "a" * 18, "a" * 4]),
        ("reports/mine.onnx", ["reports/mine.onnx"]),
    ],
)
def test_names_are_broken_behind_punctuation(name: str, lines: list[str]) -> None:
    assert folded(name, 19).split("\n") == lines


@pytest.mark.parametrize(
    ("totals", "gap"),
    [
        ([10.0, 12.0, 1000.0], (12.0, 1000.0)),
        ([10.0, 20.0, 30.0], None),
        ([10.0], None),
        ([1.0, 5.0, 400.0, 500.0], (5.0, 400.0)),
    ],
)
def test_axis_is_broken_at_the_widest_gap(
    totals: list[float], gap: tuple[float, float] | None
) -> None:
    assert break_between(totals) == gap


def test_a_file_that_fails_its_check_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    plans = [Plan(name, ()) for name in ("tflite:one", "onnx:two", "onnx:three", "keras")]
    rows = [_row(plan, {0: [10.0]}, [1]) for plan in plans]
    rows[0].check = {"passed": True, "largest": 0.0031, "tolerance": 0.1}
    rows[1].check = {"passed": False, "largest": 1.25, "tolerance": 0.3}
    rows[2].check = {"passed": None, "largest": None, "tolerance": None}
    print_report(_report(rows))
    said = " ".join(capsys.readouterr().err.split())
    assert "checked: 1 files say here what they said" in said
    assert "within 0.0031" in said
    assert "onnx:two: says something else here than where it was exported" in said
    assert "1.2 apart (0.3 allowed); edgecap check says what" in said
    assert "onnx:three" not in said
    rows[1].check = {"passed": False, "largest": None, "tolerance": 0.3}
    print_report(_report(rows))
    assert "log-probabilities not finite (0.3 allowed)" in " ".join(capsys.readouterr().err.split())
