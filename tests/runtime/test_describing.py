"""What `show` says of quantization and parity, whatever an exporter wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from edgecap_runtime.bundle import ModelFile, read_model, write_bundle
from edgecap_runtime.cli import main
from edgecap_runtime.describing import describe

GATE = {"identical": 0.5, "log_probability": 1.0, "quantile": 0.99}
QUANTIZATION: dict[str, Any] = {
    "recipe": {
        "name": "static-int8",
        "description": "encoder in int8",
        "gate": GATE,
        "encoder": "static-int8",
        "embedding": "int8-rows",
        "step": "dynamic-int8",
        "output": "float32",
        "keep_float": ["conv1", "conv_dw_1"],
        "ranges": "percentile",
        "bias_correction": False,
    },
    "weights": {
        "encoder": {"float32": 500_000, "int8": 1_500_000},
        "embedding": {"int8": 9_999, "float32": 1},
        "step": {"int8": 994, "float32": 6},
        "output": {"float32": 4_000},
    },
    "calibration": {
        "images": 5,
        "seed": 7,
        "names": ["one.jpg", "two.jpg", "three.jpg", "four.jpg", "five.jpg"],
    },
}
PARITY: dict[str, Any] = {
    "images": 1000,
    "generated": False,
    "distinct": 443,
    "beam": 3,
    "token_exact_greedy": 0.981,
    "token_exact_beam": 0.976,
    "largest": 0.1234,
    "p99": 0.0432,
    "gate": {**GATE, "quantile": 1.0},
    "failures": [],
    "verdict": "proven",
    "differences": [
        {
            "image": f"{place}.jpg",
            "search": "greedy",
            "reference": "a dog",
            "exported": "a cat",
        }
        for place in range(5)
    ],
    "scores": {
        "beam": {
            "bleu4": 18.96,
            "bleu4_keras": 19.02,
            "difference": -0.06,
            "low": -0.22,
            "high": 0.06,
        }
    },
}


def lines(tmp_path: Path, **changes: Any) -> list[str]:
    entries = tiny.tiny_manifest(**changes).to_entries()
    file = ModelFile(str(tmp_path / "some.file"), "onnx", b"", entries, checksummed=True)
    return list(describe(file))


def under(lines: list[str], head: str) -> list[str]:
    """The lines of a head's outline, without their indent."""
    first = lines.index(f"{head}:") + 1
    ends = [place for place in range(first, len(lines)) if not lines[place].startswith("  ")]
    return [line[2:] for line in lines[first : min(ends, default=len(lines))]]


def test_quantization_in_words(tmp_path: Path) -> None:
    shown = lines(tmp_path, source={"licence": "none", "quantization": QUANTIZATION})
    assert under(shown, "quantization") == [
        "recipe: static-int8: encoder in int8",
        "encoder: static-int8; 2.0 MB, 75% int8, 25% float32",
        "embedding: int8-rows; 10.0 kB, >99.9% int8, <0.1% float32",
        "step: dynamic-int8; 1.0 kB, 99% int8, 1% float32",
        "output: float32; 4.0 kB, 100% float32",
        "kept in float32: conv1, conv_dw_1",
        "ranges: percentile",
        "bias correction: no",
        "gate: 50.0% of the captions the same, 99% of the differences of log-probabilities at "
        "most 1",
        "calibration: 5 photographs, seed 7: one.jpg, two.jpg, three.jpg and 2 more",
    ]
    # Told once.
    assert under(shown, "made from") == ["licence: none"]


def test_a_recipe_that_is_not_calibrated_says_so(tmp_path: Path) -> None:
    plain = {key: value for key, value in QUANTIZATION.items() if key != "calibration"}
    plain["recipe"] = {**QUANTIZATION["recipe"], "keep_float": []}
    shown = under(lines(tmp_path, source={"quantization": plain}), "quantization")
    assert "calibration: none" in shown
    assert "kept in float32: no block of the encoder" in shown


def test_what_a_newer_exporter_adds_is_shown_too(tmp_path: Path) -> None:
    more = {
        **QUANTIZATION,
        "recipe": {**QUANTIZATION["recipe"], "sparse": True},
        "budget": {"mb": 10.0},
        "tried": [
            {"recipe": "float32", "ms": 12.25, "reason": None},
            {"recipe": "small", "reason": "too coarse"},
        ],
        "remark": "by hand",
    }
    shown = under(lines(tmp_path, source={"quantization": more}), "quantization")
    assert shown[10:] == [
        "sparse: True",
        "budget:",
        "  mb: 10.0",
        "tried:",
        "  float32: ms 12.2",
        "  small: reason too coarse",
        "remark: by hand",
    ]


def test_parity_in_words(tmp_path: Path) -> None:
    shown = under(lines(tmp_path, parity=PARITY), "parity")
    assert shown == [
        "verdict: proven",
        "compared on: 1000 photographs, of which Keras says 443 different captions",
        "same captions as Keras': 98.1% greedy, 97.6% by beam 3",
        "log-probabilities at equal prefixes: largest difference 0.12, 99th percentile 0.043",
        "gate: 50.0% of the captions the same, largest difference of log-probabilities at most 1",
        "corpus BLEU-4, beam: 18.96, Keras 19.02, difference -0.06 (95 % interval -0.22 to +0.06)",
        "captions that differ:",
        "  number: 5",
        "  0.jpg, greedy: 'a cat', Keras 'a dog'",
        "  1.jpg, greedy: 'a cat', Keras 'a dog'",
        "  2.jpg, greedy: 'a cat', Keras 'a dog'",
    ]


def test_a_failed_parity_says_where(tmp_path: Path) -> None:
    failed = {
        **PARITY,
        "generated": True,
        "largest": None,
        "failures": ["too far", "too different"],
        "verdict": "failed",
        "scores": {"greedy": {"cider": 1.5}},
        "differences": [],
    }
    shown = under(lines(tmp_path, parity=failed), "parity")
    assert "below the gate: too far; too different" in shown
    assert "compared on: 1000 generated pictures, of which Keras says 443 different captions" in (
        shown
    )
    assert "corpus BLEU-4, greedy:" in shown
    assert "  cider: 1.5" in shown
    assert any("largest difference not finite" in line for line in shown)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"recipe": "int8"},
        {"recipe": {}, "weights": {}},
        {**QUANTIZATION, "weights": {"encoder": 3}},
        {**QUANTIZATION, "calibration": {"images": 5}},
        {**QUANTIZATION, "calibration": {"images": 3, "seed": 0, "names": [1, 2, 3]}},
        "int8",
        ["int8"],
    ],
    ids=str,
)
def test_quantization_in_another_form_is_shown_as_it_stands(tmp_path: Path, other: Any) -> None:
    shown = lines(tmp_path, source={"quantization": other})
    (place,) = (at for at, line in enumerate(shown) if line.startswith("quantization:"))
    if not isinstance(other, dict):
        assert "int8" in shown[place]
    for key in other if isinstance(other, dict) else ():
        assert any(line.startswith(f"  {key}:") for line in shown[place:])


def test_files_of_older_exporters(tmp_path: Path) -> None:
    shown = lines(tmp_path, source={}, parity=None)
    assert "quantization: not said" in shown
    assert "made from: not said" in shown
    assert "parity: not checked" in shown


def test_show_prints_it_and_json_cuts_nothing(
    plain_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.onnx"
    manifest = tiny.tiny_manifest(source={"quantization": QUANTIZATION}, parity=PARITY)
    write_bundle(plain_onnx, manifest, path)
    assert main(["show", str(path)]) == 0
    text = capsys.readouterr().out
    assert "three.jpg and 2 more" in text
    assert "four.jpg" not in text
    assert main(["show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["source"]["quantization"] == QUANTIZATION
    assert shown["parity"] == PARITY


@pytest.mark.parametrize(
    ("processor", "line"),
    [
        ("any", "processor: any"),
        ("vnni", "processor: vnni; on x86 without it its 8-bit products could overflow, so"),
    ],
)
def test_the_processor_of_an_onnx_file_is_shown(
    processor: str, line: str, plain_onnx: Path, plain_tflite: Path, tmp_path: Path
) -> None:
    for plain in (plain_onnx, plain_tflite):
        path = tmp_path / f"small{plain.suffix}"
        write_bundle(plain, tiny.tiny_manifest(processor=processor), path)
        shown = [text for text in describe(read_model(path)) if text.startswith("processor")]
        if plain is plain_onnx:
            assert len(shown) == 1
            assert shown[0].startswith(line)
        else:
            # LiteRT's products are right on all.
            assert shown == []
