"""One run of `bench/latency.py` from a captioner in Keras form to the report."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgecap_bench.schema import check_report

LABELS = ["keras", "tflite:float32", "bare tflite:float32", "onnx:float32", "bare onnx:float32"]


@pytest.fixture(scope="module")
def report(whole_run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((whole_run / "report.json").read_text("utf-8"))
    return loaded


def test_every_target_is_measured(report: dict[str, Any]) -> None:
    assert report["schema"] == "edgecap-bench/2"
    assert [(row["target"], row["threads"]) for row in report["rows"]] == [
        (label, threads) for threads in (1, 2) for label in LABELS
    ]
    for row in report["rows"]:
        assert row["error"] is None
        assert row["load_ms"] > 0
        for part in ("prepare_ms", "encode_ms", "words_ms", "per_word_ms"):
            assert 0 < row[part]["p50"] <= row[part]["p90"] <= row[part]["p99"]
            # Photographs x rounds; noisy ones take more.
            assert row[part]["count"] in (3 * 2, 3 * 3, 3 * 4)
        searches = ["greedy"] if row["floor_of"] else ["greedy", "beam 2"]
        assert list(row["caption_ms"]) == searches
        assert row["photos"] == 3


def test_the_whole_is_not_less_than_its_parts(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        samples = row["samples"]
        parts = zip(samples["prepare_ms"], samples["encode_ms"], samples["words_ms"], strict=True)
        for part, whole in zip(map(sum, parts), samples["caption_ms"], strict=True):
            assert part <= whole + 1e-3


def test_all_say_the_same_words(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert row["same_words"] == {"as": "keras", "photos": 3, "same": 3}


def test_ratios_and_memory(report: dict[str, Any]) -> None:
    keras, tflite, _, onnx, _ = report["rows"][:5]
    for row in (tflite, onnx):
        # How large they are is the machine's affair at that moment; test_report checks the sums.
        assert row["ratios"]["over_bare"] > 0
        assert row["ratios"]["faster_than"]["keras"] > 0
        assert row["ratios"]["beam_over_greedy"]["2"] > 0
        assert row["peak_over_bare_mb"] is not None
        assert row["peak_mb"] < keras["peak_mb"] / 2


def test_scores(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        if row["floor_of"]:
            assert row["quality"] == {}
        else:
            assert set(row["quality"]) == {"greedy", "beam 2"}
            scores = row["quality"]["greedy"]
            assert scores["images"] == 2
            assert scores["token_exact"] == 1
            assert scores["bleu1"]["low"] <= scores["bleu1"]["value"] <= scores["bleu1"]["high"]
            if row["target"] == "keras":
                assert scores["against"] is None
            else:
                assert scores["against"]["target"] == "keras"
                assert scores["against"]["bleu4"]["difference"] == 0


def test_what_is_needed_to_repeat_it(report: dict[str, Any], whole_run: Path) -> None:
    machine = report["machine"]
    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert {"numpy", "ai-edge-litert", "onnxruntime", "tensorflow"} <= set(machine["versions"])
    assert "--rounds 2" in report["command"]
    assert report["settings"]["seed"] == 0
    (file,) = report["rows"][1]["files"]
    written = (whole_run / file["name"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(written).hexdigest()
    assert report["rows"][1]["file_mb"] == pytest.approx(len(written) / 1e6)
    assert report["rows"][1]["parity"]["images"] == 3


def test_each_file_is_checked(report: dict[str, Any], whole_run: Path) -> None:
    for row in report["rows"]:
        of_file = row["target"].startswith(("tflite:", "onnx:"))
        assert (row["check"] is not None) is of_file, row["target"]
        if of_file:
            assert row["check"]["passed"] is True
            assert row["check"]["largest"] <= row["check"]["tolerance"]
    said = " ".join((whole_run / "stderr.txt").read_text().split())
    assert "say here what they said where they were exported" in said


def test_import_cost(report: dict[str, Any]) -> None:
    assert set(report["import_cost"]) == {"tflite", "onnx"}
    for cost in report["import_cost"].values():
        assert 0 < cost["inside_ms"] < cost["with_runtime_ms"]


def test_tables_and_picture(whole_run: Path) -> None:
    said = (whole_run / "stdout.txt").read_text()
    for part in ("tflite:float32", "bare", "BLEU-4", "bare parts", "keras / this"):
        assert part in " ".join(said.split()), part
    assert max(map(len, said.splitlines())) <= 80
    check_report(json.loads((whole_run / "report.json").read_text("utf-8")))
    page = (whole_run / "report.html").read_text("utf-8")
    table = (whole_run / "report.csv").read_text("utf-8")
    markdown = (whole_run / "report.md").read_text("utf-8")
    for label in ("keras", "tflite:float32", "onnx:float32"):
        assert label in page
        assert label in table
        assert f"| {label.replace(':', ' ')} |" in markdown
    with Image.open(whole_run / "report.png") as picture:
        assert picture.format == "PNG"
