"""The attention decoder: it looks where its query points, and its step says what it was taught."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecap.captioner import TrainedCaptioner, read_design
from edgecap.decoders import DECODERS
from edgecap.decoders.attention import AttentionOptions
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.encoders.pooling import POOLINGS, places_of
from edgecap.training.session import TrainingSession
from edgecap_export import (
    Calibration,
    ExportReport,
    Prover,
    choose_calibration,
    export,
    flatbuffer,
    recipe_named,
)
from edgecap_runtime import Captioner
from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError

Write = Callable[[str, str], ExportReport]
PLACES, CHANNELS, WORDS, LONGEST = 6, 5, 20, 7
SMALL = AttentionOptions(places=PLACES, embedding=8, units=12, attention=9)
SETTINGS = (
    "encoder.size=64", "encoder.width=0.25", "decoder.embedding=24", "decoder.units=32",
    "decoder.attention=16", "decoder.dropout=0", "training.batch=16", "training.average=0.9",
    "training.learning_rate=0.01", "training.epochs=30", "training.patience=30",
    "training.reward_epochs=1",
)  # fmt: skip


def made() -> Any:
    """Build a decoder with random weights, large enough for unlike answers."""
    decoder = DECODERS["attention-lstm"].build(SMALL, WORDS, PLACES * CHANNELS)
    dice = np.random.default_rng(0)
    for variable in decoder.weights:
        if "variance" not in variable.path:
            variable.assign(dice.normal(0, 0.6, variable.shape))
    return decoder


def given(rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(1)
    features = dice.normal(size=(rows, PLACES * CHANNELS)).astype(np.float32)
    return features, dice.integers(0, WORDS, (rows, LONGEST)).astype(np.int32)


def test_the_step_says_what_the_training_graph_says() -> None:
    decoder = made()
    features, ids = given()
    whole = np.asarray(decoder.prefix_logits(features, ids))
    np.testing.assert_allclose(decoder.next_logits(features, ids), whole[:, -1], atol=1e-5)
    state = decoder.first_state(features)
    for place in range(LONGEST):
        vectors = decoder.embedding_table[ids[:, place]]
        logits, state = decoder.step(ids[:, place], vectors, state)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)
    assert {name: value.shape[1] for name, value in state.items()} == decoder.state_spec


def test_its_answer_is_the_books() -> None:
    """Luong, Pham, Manning 2015, equations 5 to 7, place by place in numpy."""
    decoder = made()
    features, ids = given(1)
    weights = {
        variable.path.split("attention_lstm/")[-1]: np.asarray(variable)
        for variable in decoder.weights
    }

    def dense(name: str, values: np.ndarray) -> np.ndarray:
        answer: np.ndarray = values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
        return answer

    state = decoder.first_state(features)
    logits, following = decoder.step(ids[:, 0], decoder.embedding_table[ids[:, 0]], state)
    hidden = np.asarray(following["h0"])[0]
    norm = decoder.feature_norm
    spread = np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    keys = [
        dense(
            "place_projection",
            (place - np.asarray(norm.moving_mean)) / spread * np.asarray(norm.gamma)
            + np.asarray(norm.beta),
        )
        for place in features.reshape(PLACES, CHANNELS)
    ]
    query = dense("query", hidden)
    likely = np.exp([query @ key / np.sqrt(SMALL.attention) for key in keys])
    seen = sum(share * key for share, key in zip(likely / likely.sum(), keys, strict=True))
    joined = np.tanh(dense("joined", np.concatenate([hidden, seen])))
    np.testing.assert_allclose(np.asarray(logits)[0], dense("output_projection", joined), atol=1e-4)
    assert likely.max() / likely.sum() > 1.2 / PLACES


def test_where_things_are_in_the_map_changes_nothing() -> None:
    """It attends by what is there; no place has a number of its own."""
    decoder = made()
    features, ids = given()
    maps = features.reshape(-1, PLACES, CHANNELS)
    shuffled = maps[:, np.random.default_rng(2).permutation(PLACES)].reshape(features.shape)
    whole = np.asarray(decoder.prefix_logits(features, ids))
    np.testing.assert_allclose(decoder.prefix_logits(shuffled, ids), whole, atol=1e-5)
    # Another map of the same mean is another photograph.
    flat = np.broadcast_to(maps.mean(axis=1, keepdims=True), maps.shape).reshape(features.shape)
    assert np.abs(np.asarray(decoder.prefix_logits(flat, ids)) - whole).max() > 0.1


@pytest.mark.parametrize("size", [64, 96])
def test_the_places_are_those_of_the_encoders_map(size: int) -> None:
    family = DECODERS["attention-lstm"]
    encoder = ENCODERS["mobilenet"].model(EncoderOptions(size, 0.25, family.pooling), None)
    places = (size // 32) ** 2
    assert encoder.output_shape == (None, places * 256)
    assert family.fitted(family.options(), encoder).places == places
    assert family.fitted(family.options(places=places), encoder).places == places
    with pytest.raises(OptionError, match=f"places is 5 but the encoder's map has {places} "):
        family.fitted(family.options(places=5), encoder)


@pytest.mark.parametrize("pooling", sorted(set(POOLINGS) - {"map"}))
def test_an_encoder_that_gives_no_map_is_refused(pooling: str) -> None:
    encoder = ENCODERS["mobilenet"].model(EncoderOptions(64, 0.25, pooling), None)
    assert places_of(encoder) == 0
    family = DECODERS["attention-lstm"]
    with pytest.raises(OptionError, match=re.escape("set encoder.pooling=map")):
        family.fitted(family.options(), encoder)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"places": -1}, "decoder.places is -1; give a whole number of at least 0"),
        ({"attention": 0}, "decoder.attention is 0; give a whole number of at least 1"),
        ({"units": 0}, "decoder.units is 0; give a whole number of at least 1"),
        ({"dropout": 1.0}, "decoder.dropout is 1.0; give a number from 0 up to 1"),
    ],
)
def test_an_option_that_it_cannot_have_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=re.escape(sentence)):
        replace(SMALL, **wrong)


@pytest.fixture(scope="module")
def run(tiny_data: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner that learned the colours, words first and then captions."""
    folder = tmp_path_factory.mktemp("attention")
    session = TrainingSession.open(
        tiny_data, decoder="attention-lstm", settings=SETTINGS, minimum_count=1
    )
    session.encode(tiny_weights, cache=folder / "cache")
    trainer = session.trainer(folder / "run")
    trainer.run()
    session.finish(folder / "run", trainer)
    return folder / "run"


@pytest.fixture(scope="module")
def prover(run: Path, tiny_data: Path) -> Prover:
    """What Keras says of all photographs, for all files."""
    return Prover(TrainedCaptioner.load(run).source(), sorted((tiny_data / "images").iterdir()))


@pytest.fixture(scope="module")
def calibration(prover: Prover) -> Calibration:
    return choose_calibration(prover.pictures.names, prover.source.preparation)


@pytest.fixture(scope="module")
def written(
    prover: Prover, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory
) -> Write:
    """Gives the report on a recipe's file of a format, which is written when first asked for."""
    folder = tmp_path_factory.mktemp("files")

    @functools.cache
    def write(recipe: str, suffix: str) -> ExportReport:
        return export(
            prover.source,
            folder / f"{recipe}{suffix}",
            recipe=recipe,
            prover=prover,
            gate=False,
            calibration=calibration if recipe_named(recipe).calibrated else None,
        )

    return write


def test_it_is_trained_like_any_other(run: Path) -> None:
    design = read_design(run)
    assert design.encoder_options.pooling == "map"
    assert design.decoder_options.places == 4
    assert design.provenance["scores"]["dev"]["greedy"]["corpus_bleu"][0] > 80
    assert [epoch["phase"] for epoch in design.provenance["curve"]][-1] == "captions"


def test_no_result_of_a_tflite_file_is_what_it_was_given(written: Write) -> None:
    """LiteRT.js answers with what lay in memory where a state that no word changes is both."""
    path = written("float32", ".tflite").path
    model = flatbuffer.read(path.read_bytes())
    for called in model.signatureDefs:
        given, said = (
            {item.tensorIndex for item in ends} for ends in (called.inputs, called.outputs)
        )
        assert not given & said, called.signatureKey
    backend = open_backend(path, read_manifest(path), threads=1)
    for rows in (1, 3, 2):
        state = {
            item.name: np.random.default_rng(rows).normal(size=(rows, *item.shape))
            for item in read_manifest(path).state
        }
        state = {name: values.astype(np.float32) for name, values in state.items()}
        _, following = backend.step(np.zeros(rows, np.int32), state)
        np.testing.assert_array_equal(following["places"], state["places"])


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("recipe", ["float32", "dynamic-int8", "static-int8", "small"])
def test_its_files_say_what_it_says(
    written: Write, tiny_data: Path, suffix: str, recipe: str
) -> None:
    photographs = sorted((tiny_data / "images").iterdir())
    # The random encoder's features differ by so little that rounding may tell colours apart
    # no longer: what is asked here is that each file is written and captions.
    report = written(recipe, suffix)
    assert report.parity is not None
    assert report.parity.token_exact_greedy >= (0.9 if recipe.startswith(("f", "d")) else 0.3)
    with Captioner.load(report.path, threads=1) as captioner:
        assert {item.name for item in captioner.manifest.state} == {"places", "h0", "c0"}
        said = [
            captioner.caption(photo, beam=beam).text for photo in photographs for beam in (1, 3)
        ]
    assert all(text.startswith("a ") for text in said)
