"""An imported captioner says what the notebook's own library says: Keras 2 by tf_keras, Keras 3."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from edgecap.encoders import Encoder
from edgecap.importing import Imported, import_captioner
from edgecap_runtime.decoding import State

from . import notebooks
from .notebooks import LENGTH, VOCABULARY, Graph

CASES = {
    "notebook": Graph(),
    "notebook, both ways": Graph(both=True),
    "unmasked": Graph(mask=False),
    "unmasked, both ways": Graph(mask=False, both=True),
    "image first, both ways": Graph(join="concatenate-image-first", both=True),
    "merge": Graph(merged=0),
    "merge, unmasked, both ways": Graph(merged=0, mask=False, both=True, join="concatenate"),
    "merge, image first": Graph(merged=0, join="concatenate-image-first", extras=True),
    "more layers": Graph(extras=True, words=2),
    "old gates": Graph(gate="hard_sigmoid"),
    "old gates, both ways": Graph(gate="hard_sigmoid", both=True, merged=1, extras=True),
}
KERAS = {"Keras 2": tf_keras, "Keras 3": keras}


@pytest.fixture(autouse=True, scope="module")
def one_encoder() -> Iterator[None]:
    """Build the encoder once: it hardly matters here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "model", functools.cache(Encoder.model))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a vocabulary, and weights of an encoder."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "words.json").write_text(json.dumps(VOCABULARY))
    network = keras.applications.MobileNet(
        weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3), alpha=0.25
    )
    network.save_weights(folder / "encoder.weights.h5")
    return folder


def bring(folder: Path, model: Any, suffix: str, **choices: Any) -> Imported:
    model.save(folder / f"model{suffix}")
    return import_captioner(
        folder / f"model{suffix}",
        folder / "words.json",
        notebooks.options(folder / "encoder.weights.h5", **choices),
    )


@pytest.mark.parametrize("library", KERAS)
@pytest.mark.parametrize("case", CASES)
def test_says_what_the_notebook_says(case: str, library: str, folder: Path) -> None:
    graph = CASES[case]
    model = notebooks.build(KERAS[library], graph)
    imported = bring(folder, model, ".keras" if library == "Keras 3" else ".h5")
    decoder = imported.captioner.decoder
    masked = "keras2" if library == "Keras 2" else "keras3"
    assert decoder.options.mask == (masked if graph.mask else "none")
    reads_padding = not graph.mask or (library == "Keras 3" and graph.merged)
    assert decoder.kind == ("prefix" if graph.both or reads_padding else "step")

    def whole(features: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
        return notebooks.after(decoder, features, rows)

    def stepwise(features: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
        def step(ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
            logits, following = decoder.step(ids, decoder.embedding_table[ids], state)
            return np.asarray(logits), following

        return notebooks.by_step(step, decoder.first_state(features), rows)

    ask = notebooks.oracle(model)
    images = notebooks.images()
    rows = notebooks.prefixes()
    features = images[np.arange(len(rows)) % len(images)]
    wanted, captions = ask(features, rows), notebooks.greedy(ask, images)
    assert len(set(map(tuple, captions))) > 5
    notebooks.assert_same(whole(features, rows), wanted)
    ours = stepwise if decoder.kind == "step" else whole
    notebooks.assert_same(ours(features, rows), wanted)
    assert notebooks.greedy(ours, images) == captions
    # A bare prefix says what it says with the padding that the notebook has behind it.
    short = [place for place, row in enumerate(rows) if len(row) == 4]
    bare = decoder.next_logits(features[short], np.array([rows[place] for place in short]))
    np.testing.assert_allclose(bare, whole(features[short], [rows[at] for at in short]), atol=1e-4)


def test_the_mask_is_part_of_what_is_said(folder: Path) -> None:
    """The trap: the same weights under another mask say something else."""
    model = notebooks.build(tf_keras, Graph())
    rows = notebooks.prefixes(200)
    features = notebooks.images(len(rows))
    wanted = notebooks.oracle(model)(features, rows).argmax(-1)
    agreeing = {}
    for mask in (None, "keras3", "none"):
        imported = bring(folder, model, ".h5", mask=mask)
        logits = notebooks.after(imported.captioner.decoder, features, rows)
        agreeing[mask] = np.mean(logits.argmax(-1) == wanted)
        assert imported.facts["mask_of_file"] == "keras2"
        assert imported.facts["mask"] == (mask or "keras2")
    assert agreeing[None] == 1
    assert agreeing["keras3"] < 0.9
    assert agreeing["none"] < 0.9


def test_keras_3_hard_sigmoid_is_another_function(folder: Path) -> None:
    model = notebooks.build(tf_keras, Graph(gate="hard_sigmoid"))
    gates = {}
    for name, library in KERAS.items():
        imported = bring(
            folder,
            notebooks.build(library, Graph(gate="hard_sigmoid")),
            ".keras" if name == "Keras 3" else ".h5",
            mask="keras2",
        )
        gates[name] = imported.captioner.decoder
    assert gates["Keras 2"].options.recurrent_activation == "keras2_hard_sigmoid"
    assert gates["Keras 3"].options.recurrent_activation == "hard_sigmoid"
    rows = notebooks.prefixes(200)
    features = notebooks.images(len(rows))
    wanted = notebooks.oracle(model)(features, rows).argmax(-1)
    other = notebooks.after(gates["Keras 3"], features, rows).argmax(-1)
    assert np.mean(other == wanted) < 0.95


def test_padding_at_the_start(folder: Path) -> None:
    """`pad_sequences` pads the start by default; without a mask it makes a difference."""
    model = notebooks.build(tf_keras, Graph(mask=False))
    rows = notebooks.prefixes(200)
    features = notebooks.images(len(rows))
    wanted = notebooks.oracle(model, "start")(features, rows).argmax(-1)
    right = bring(folder, model, ".h5", padding="start").captioner.decoder
    wrong = bring(folder, model, ".h5").captioner.decoder
    assert (notebooks.after(right, features, rows).argmax(-1) == wanted).all()
    assert np.mean(notebooks.after(wrong, features, rows).argmax(-1) == wanted) < 0.9


def test_the_operator_plus_loses_the_mask_in_keras_2(folder: Path) -> None:
    layers = tf_keras.layers
    features, ids = tf_keras.Input((notebooks.FEATURES,)), tf_keras.Input((LENGTH,))
    word = layers.Embedding(notebooks.WORDS, 12, mask_zero=True)(ids)
    word = layers.LSTM(12, return_sequences=True)(word)
    joined = word + layers.RepeatVector(LENGTH)(layers.Dense(12, activation="relu")(features))
    said = layers.Dense(notebooks.WORDS, activation="softmax")(layers.LSTM(8)(joined))
    model = notebooks.randomise(tf_keras.Model([features, ids], said))
    imported = bring(folder, model, ".h5")
    assert imported.captioner.decoder.options.mask == "keras3"
    rows = notebooks.prefixes(200)
    images = notebooks.images(len(rows))
    wanted = notebooks.oracle(model)(images, rows).argmax(-1)
    assert (notebooks.after(imported.captioner.decoder, images, rows).argmax(-1) == wanted).all()


def test_features_that_are_normalised_and_not_projected(folder: Path) -> None:
    layers = keras.layers
    features, ids = keras.Input((notebooks.FEATURES,)), keras.Input((LENGTH,))
    word = layers.Embedding(notebooks.WORDS, 12, mask_zero=True)(ids)
    word = layers.LSTM(8, return_sequences=True)(word)
    image = layers.RepeatVector(LENGTH)(layers.BatchNormalization()(features))
    joined = layers.LSTM(8)(layers.Concatenate()([image, word]))
    said = layers.Dense(notebooks.WORDS, activation="softmax")(joined)
    model = notebooks.randomise(keras.Model([features, ids], said))
    decoder = bring(folder, model, ".keras").captioner.decoder
    assert decoder.options.feature_norm
    assert decoder.options.image_projection == 0
    rows = notebooks.prefixes()
    images = notebooks.images(len(rows))
    wanted = notebooks.oracle(model)(images, rows)
    notebooks.assert_same(notebooks.after(decoder, images, rows), wanted)


def test_a_run_says_where_it_comes_from(folder: Path, tmp_path: Path) -> None:
    from edgecap.captioner import TrainedCaptioner

    model = notebooks.build(tf_keras, Graph())
    imported = bring(folder, model, ".h5")
    imported.save(tmp_path / "run")
    again = TrainedCaptioner.load(tmp_path / "run")
    assert again.weights_sha256 == imported.captioner.weights_sha256
    assert again.design == imported.captioner.design
    facts = again.design.provenance["import"]
    assert facts["file"] == "model.h5"
    assert facts["keras"] == tf_keras.__version__
    assert len(facts["sha256"]) == 64
    assert facts["vocabulary"]["form"] == "JSON, list"
    assert facts["layers"] == [
        {key: getattr(row, key) for key in ("layer", "class_name", "taken_for", "details")}
        for row in imported.layers
    ]
    roles = {row.taken_for for row in imported.layers}
    assert {"word ids", "word vectors", "reads the words", "joins words and image"} <= roles
    assert again.design.defaults.max_words == LENGTH - 1
    assert again.design.preparation.resampling == "nearest"
