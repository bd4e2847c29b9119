"""The gates: an export that says something else leaves no file."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from edgecap_export import Gate, ParityError, export, parity, recipe_named
from edgecap_export.pictures import Pictures
from edgecap_export.tally import DifferenceTally

from .conftest import ShowAndTell, photographs


class Sabotaged:
    """A decoder whose step is not its training graph."""

    def __init__(self, decoder: ShowAndTell, change) -> None:
        self._decoder, self._change = decoder, change

    def __getattr__(self, name):
        return getattr(self._decoder, name)

    def step(self, ids, vectors, state):
        logits, following = self._decoder.step(ids, vectors, state)
        return self._change(logits), following


def end_word_favoured(logits):
    return logits + np.eye(logits.shape[-1], dtype=np.float32)[2] * 8


def slightly_flatter(logits):
    return logits * 0.99


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_file_that_says_other_words_is_refused(source, tmp_path, suffix):
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"old")
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, end_word_favoured))
    with pytest.raises(ParityError, match="greedy captions differ") as raised:
        export(sabotaged, target, images=photographs(parity.ENOUGH_IMAGES))
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [target.name]
    found = raised.value.parity
    assert found.verdict == "failed"
    first = found.differences[0]
    assert first.image in str(raised.value)
    assert first.reference != first.exported
    assert found.token_exact_greedy < 1


def test_same_words_with_other_probabilities_are_refused(source, tmp_path):
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, slightly_flatter))
    with pytest.raises(ParityError, match="largest difference of log probabilities") as raised:
        export(sabotaged, tmp_path / "a.tflite", images=photographs(4))
    assert raised.value.parity.token_exact_greedy == 1
    assert os.listdir(tmp_path) == []


def test_generated_pictures_hold_probabilities_to_the_gate(source, tmp_path):
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, slightly_flatter))
    with pytest.raises(ParityError, match="log probabilities"):
        export(sabotaged, tmp_path / "a.tflite")


def test_gate_can_be_left_open_but_the_report_says_failed(source, tmp_path):
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, end_word_favoured))
    report = export(sabotaged, tmp_path / "a.tflite", images=photographs(4), gate=False)
    assert report.parity.verdict == "failed"
    assert report.path.exists()


def test_a_few_photographs_hold_probabilities_alone_to_the_gate(source, tmp_path):
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, end_word_favoured))
    words_only = recipe_named("float32").changed(gate=Gate(1, log_probability=50, quantile=1))
    found = export(sabotaged, tmp_path / "a.tflite", recipe=words_only, images=photographs(12))
    assert found.parity.verdict == "checked on 12 images"
    assert found.parity.token_exact_greedy < 1
    closer = words_only.changed(gate=Gate(0, log_probability=1, quantile=1))
    with pytest.raises(ParityError, match="log probabilities") as raised:
        export(sabotaged, tmp_path / "b.tflite", recipe=closer, images=photographs(12))
    assert "captions differ" not in str(raised.value)


@pytest.mark.parametrize(
    ("images", "identical", "allowed"),
    [(100, 0.9, 10), (109, 0.9, 10), (100, 0.999, 0), (1000, 0.999, 1), (99, 0.9, 99)],
)
@pytest.mark.parametrize("generated", [False, True])
def test_captions_that_may_differ(source, images, identical, allowed, generated):
    pictures = Pictures(
        tuple(map(str, range(images))), np.zeros((images, 1, 1, 3), np.uint8), generated
    )
    tally = DifferenceTally()
    tally.add(np.zeros((1, 2)), np.zeros((1, 2)))
    gate = Gate(identical, log_probability=0, quantile=1)
    for differing in {allowed, min(allowed + 1, images)}:
        said = [(5,)] * differing + [(4,)] * (images - differing)
        pairs = {search: (said, [(4,)] * images) for search in ("greedy", "beam")}
        found = parity._judge(source, pictures, pairs, tally, gate, None, (), ())
        assert found.passed == (differing <= allowed or generated)


@pytest.mark.parametrize(
    ("recipe", "advice"),
    [
        ("float32", "choose the other format"),
        ("dynamic-int8", "choose another recipe, such as float32"),
        ("static-int8", "calibrate on more photographs"),
    ],
)
def test_a_refusal_says_what_to_do(source, calibration, tmp_path, recipe, advice):
    sabotaged = replace(source, decoder=Sabotaged(source.decoder, end_word_favoured))
    used = calibration if recipe == "static-int8" else None
    with pytest.raises(ParityError, match=f"nothing was written: {advice}"):
        export(sabotaged, tmp_path / "a.tflite", recipe=recipe, calibration=used,
               images=photographs(2))  # fmt: skip


def test_report_without_a_finite_difference_can_be_written(exported):
    report = exported[".tflite", "float32"].parity
    plain = replace(report, largest=float("nan"), p99=float("inf")).to_dict()
    assert (plain["largest"], plain["p99"]) == (None, None)
    assert report.to_dict()["largest"] == report.largest


def test_tally_agrees_with_numpy():
    random = np.random.default_rng(0)
    expected = random.normal(size=(50, 400))
    found = expected + random.normal(size=expected.shape) * 1e-3
    tally = DifferenceTally()
    for place in range(50):
        tally.add(found[place : place + 1], expected[place : place + 1])
    differences = np.abs(found - expected)
    assert tally.quantile(1) == differences.max()
    exact = np.quantile(differences, 0.99)
    assert exact * 0.999 <= tally.quantile(0.99) <= exact * 1.021


def test_tally_of_equal_arrays_is_nothing():
    tally = DifferenceTally()
    tally.add(np.zeros((2, 3)), np.zeros((2, 3)))
    assert (tally.quantile(1), tally.quantile(0.99)) == (0, 0)


def test_tally_keeps_what_is_no_number():
    tally = DifferenceTally()
    tally.add(np.array([[np.nan, 0.0]]), np.zeros((1, 2)))
    tally.add(np.zeros((1, 2)), np.zeros((1, 2)))
    assert np.isnan(tally.quantile(1))
    assert np.isnan(tally.quantile(0.99))


def test_tally_refuses_arrays_of_other_shapes():
    with pytest.raises(ValueError, match="differ"):
        DifferenceTally().add(np.zeros((1, 2)), np.zeros((1, 3)))
