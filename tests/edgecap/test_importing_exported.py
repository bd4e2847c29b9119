"""Imported, exported, and run by the device's runtime: still what the notebook's library says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from edgecap.importing import Imported, import_captioner
from edgecap_export import CaptionerSource, Prover, export
from edgecap_runtime import Captioner
from edgecap_runtime.backends import open_backend
from edgecap_runtime.preparation import Preparation

from . import notebooks
from .notebooks import FEATURES, LENGTH, VOCABULARY, Graph

SIDE = 16
CASES = {
    "LSTM, masked by Keras 2": (tf_keras, Graph()),
    "BiLSTM, masked by Keras 2, image first": (
        tf_keras, Graph(both=True, join="concatenate-image-first"),
    ),
    "LSTM, not masked": (tf_keras, Graph(mask=False)),
    "BiLSTM, not masked": (tf_keras, Graph(mask=False, both=True)),
    "LSTM, masked by Keras 3": (keras, Graph()),
    "BiLSTM, masked by Keras 3": (keras, Graph(both=True)),
    "LSTM, old gates, image first": (
        tf_keras, Graph(gate="hard_sigmoid", join="concatenate-image-first"),
    ),
    "merge, old gates, both ways": (tf_keras, Graph(merged=0, gate="hard_sigmoid", both=True)),
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    """An encoder that is converted in no time, and whose features differ between pictures."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 127.5, -1)(pixels))
    features = keras.layers.Dense(FEATURES, "relu", kernel_initializer="he_normal")(flat)
    return keras.Model(pixels, features)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    dice = np.random.default_rng(5)
    return list(dice.integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A notebook's model, and what became of it: (model, imported)."""
    folder = tmp_path_factory.mktemp("exported")
    library, graph = CASES[request.param]
    model = notebooks.build(library, graph)
    path = folder / ("model.keras" if library is keras else "model.h5")
    model.save(path)
    (folder / "words.json").write_text(json.dumps(VOCABULARY))
    network = keras.applications.MobileNet(
        weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3), alpha=0.25
    )
    weights = folder / "encoder.weights.h5"
    network.save_weights(weights)
    return model, import_captioner(path, folder / "words.json", notebooks.options(weights))


@pytest.fixture(scope="module")
def prover(case: Any, encoder: keras.Model, pictures: list[np.ndarray]) -> Prover:
    imported: Imported = case[1]
    source: CaptionerSource = dataclasses.replace(
        imported.captioner.source(),
        encoder=encoder,
        preparation=Preparation(SIDE, SIDE),
        # The export's own proof is kept short: the one below is longer.
        defaults=dataclasses.replace(imported.captioner.design.defaults, beam=1, max_words=3),
    )
    return Prover(source, pictures[:2])


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_exports_say_what_the_notebook_says(
    case: Any,
    suffix: str,
    prover: Prover,
    encoder: keras.Model,
    pictures: list[np.ndarray],
    tmp_path: Path,
) -> None:
    model, imported = case
    path = tmp_path / f"captioner{suffix}"
    export(prover.source, path, prover=prover)
    ask = notebooks.oracle(model)
    features = np.asarray(encoder(np.stack(pictures).astype(np.float32)))
    captions = notebooks.greedy(ask, features)
    assert len(set(map(tuple, captions))) > 5

    with Captioner.load(path, threads=1) as captioner:
        words = captioner.manifest.vocabulary
        said = captioner.caption_batch(pictures, beam=1, max_words=LENGTH - 1)
        assert [caption.words for caption in said] == [words.words_of(ids) for ids in captions]
        assert captioner.manifest.source["import"]["mask"] == imported.facts["mask"]
        assert captioner.manifest.kind == imported.captioner.decoder.kind
        manifest = captioner.manifest

    rows = notebooks.prefixes()
    backend = open_backend(path, manifest, threads=1)
    states = [backend.encode(picture) for picture in pictures]
    turns = np.arange(len(rows)) % len(pictures)
    state = {name: np.concatenate([one[name] for one in states])[turns] for name in states[0]}
    logits = notebooks.by_step(backend.step, state, rows)
    backend.close()
    notebooks.assert_same(logits, ask(features[turns], rows))
