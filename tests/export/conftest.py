"""A tiny captioner whose captions depend on its image, and images for it."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from edgecap_export import (
    Calibration,
    CaptionerSource,
    ExportReport,
    Prover,
    Recipe,
    export,
    recipe_named,
)
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.preparation import Preparation, prepare
from edgecap_runtime.vocabulary import Vocabulary

from .prefix_decoders import EMBEDDING, FEATURES, MAX_WORDS, UNITS, WORDS, Bidirectional, Padded

SIZE = 32
KINDS = 10
DECODERS = Path(__file__).parent / "decoders"
COMBINATIONS = [
    (suffix, recipe) for suffix in (".tflite", ".onnx") for recipe in ("float32", "dynamic-int8")
]


class ShowAndTell:
    """The image is the LSTM's first input; the step runs the training layer's cell."""

    name = "show-and-tell"
    kind = "step"

    def __init__(self) -> None:
        self.state_spec = {"h": UNITS, "c": UNITS}
        self.image = keras.layers.Dense(EMBEDDING)
        self.words = keras.layers.Embedding(WORDS, EMBEDDING)
        self.lstm = keras.layers.LSTM(UNITS, return_sequences=True)
        self.output = keras.layers.Dense(WORDS)
        self.prefix_logits(np.zeros((1, FEATURES), "float32"), np.zeros((1, 2), "int32"))

    @property
    def embedding_table(self) -> np.ndarray:
        return np.asarray(self.words.embeddings)

    def first_state(self, features):
        zeros = ops.zeros((ops.shape(features)[0], UNITS))
        _, (hidden, carried) = self.lstm.cell(self.image(features), [zeros, zeros])
        return {"h": hidden, "c": carried}

    def step(self, ids, vectors, state):
        out, (hidden, carried) = self.lstm.cell(vectors, [state["h"], state["c"]])
        return self.output(out), {"h": hidden, "c": carried}

    def prefix_logits(self, features, ids):
        inputs = ops.concatenate([self.image(features)[:, None], self.words(ids)], axis=1)
        return self.output(self.lstm(inputs)[:, 1:])

    def next_logits(self, features, ids):
        return self.prefix_logits(features, ids)[:, -1]


def tiny_encoder() -> keras.Model:
    """MobileNet with random scales and offsets; its statistics are those of the pictures.

    Keras' own statistics (mean 0, variance 1) would let all pictures look the same at the end.
    """
    pixels = keras.Input((SIZE, SIZE, 3))
    network = keras.applications.MobileNet(
        input_shape=(SIZE, SIZE, 3), alpha=0.25, weights=None, include_top=False, pooling="avg"
    )
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    random = np.random.default_rng(7)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(random.normal(0.3, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    encoder = keras.Model(pixels, network(scaled))
    encoder(prepared(photographs(10 * KINDS, seed=99)).astype("float32"), training=True)
    return encoder


def prepared(pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack([prepare(picture, Preparation(SIZE, SIZE)) for picture in pictures])


def tiny_vocabulary(words: int = WORDS) -> Vocabulary:
    special = ("<pad>", "<start>", "<end>", "<unk>")
    return Vocabulary(
        words=(*special, *(f"w{place}" for place in range(words - len(special)))),
        start_id=1,
        end_id=2,
        padding_id=0,
        unknown_id=3,
        never_said=(0, 1, 3),
    )


def photographs(count: int, seed: int = 0) -> list[np.ndarray]:
    """Pictures of `KINDS` kinds in turn, each with noise of its own."""
    kinds = np.random.default_rng(5).uniform(0, 255, (KINDS, 4, 4, 3))
    random = np.random.default_rng(seed)
    pictures = []
    for place in range(count):
        clean = np.kron(kinds[place % KINDS], np.ones((12, 10, 1)))
        noisy = clean + random.normal(0, 8, clean.shape)
        pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return pictures


def variables(decoder) -> list[keras.Variable]:
    """The decoder's weights, in the order in which `DECODERS` holds them."""
    layers = [part for part in vars(decoder).values() if isinstance(part, keras.layers.Layer)]
    return [variable for layer in layers for variable in layer.weights]


def trained(make) -> CaptionerSource:
    """A captioner with a decoder that `train_decoders.py` trained.

    Trained anew it would be another captioner on each kind of processor, and what rounding does to
    its captions another number.
    """
    keras.utils.set_random_seed(3)
    encoder, decoder = tiny_encoder(), make()
    with np.load(DECODERS / f"{decoder.name}.npz") as saved:
        for place, variable in enumerate(variables(decoder)):
            variable.assign(saved[str(place)])
    return CaptionerSource(
        name="tiny",
        encoder=encoder,
        encoder_name="mobilenet",
        decoder=decoder,
        vocabulary=tiny_vocabulary(),
        preparation=Preparation(SIZE, SIZE),
        defaults=DecodingOptions(beam=3, max_words=MAX_WORDS),
        provenance={"licence": "none", "weights_sha256": "0" * 64},
    )


@pytest.fixture(scope="session")
def source() -> CaptionerSource:
    return trained(ShowAndTell)


@pytest.fixture(scope="session")
def bidirectional_source() -> CaptionerSource:
    return trained(Bidirectional)


@pytest.fixture(scope="session")
def padded_source() -> CaptionerSource:
    return trained(Padded)


def all_exported(once, prover: Prover) -> dict[tuple[str, str], ExportReport]:
    """All formats and recipes; a file below its gate is here all the same, for the tests to see."""

    def write(folder: Path, suffix: str, recipe: str) -> ExportReport:
        path = folder / f"{recipe}{suffix}"
        return export(prover.source, path, recipe=recipe, prover=prover, gate=False)

    return {
        (suffix, recipe): once(
            f"exported {prover.source.decoder.name} {recipe}{suffix}",
            partial(write, suffix=suffix, recipe=recipe),
        )
        for suffix, recipe in COMBINATIONS
    }


@pytest.fixture(scope="session", params=["bidirectional", "padded"])
def prefix_source(request) -> CaptionerSource:
    """A captioner whose decoder reads the whole prefix for each word."""
    return request.getfixturevalue(f"{request.param}_source")


@pytest.fixture(scope="session")
def prefix_prover(prefix_source: CaptionerSource) -> Prover:
    return Prover(prefix_source, photographs(30))


@pytest.fixture(scope="session")
def prefix_exported(once, prefix_prover) -> dict[tuple[str, str], ExportReport]:
    return all_exported(once, prefix_prover)


@pytest.fixture(scope="session")
def prover(source: CaptionerSource) -> Prover:
    return Prover(source, photographs(100))


@pytest.fixture(scope="session")
def few(source: CaptionerSource) -> Prover:
    return Prover(source, photographs(12, seed=1))


@pytest.fixture(scope="session")
def exported(once, prover) -> dict[tuple[str, str], ExportReport]:
    return all_exported(once, prover)


@pytest.fixture(scope="session")
def limited(source: CaptionerSource) -> CaptionerSource:
    """The same captioner with other decoding rules."""
    defaults = DecodingOptions(
        beam=4, max_words=6, min_words=3, no_repeat_ngram=2, length_penalty=1.3
    )
    return replace(source, defaults=defaults)


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    """Pictures that no test compares on."""
    pixels = prepared(photographs(30, seed=3))
    return Calibration(pixels, tuple(f"{place}.png" for place in range(len(pixels))), seed=7)


Write = Callable[..., ExportReport]


@pytest.fixture(scope="session")
def written(once, request, calibration) -> Write:
    """Gives the report on a tiny captioner's file, which is written when it is first asked for.

    kind: "step", "limited", "bidirectional" or "padded"; recipe: a name, or a recipe of a name of
    its own; options: `search` and `one_call` of `export`.
    """
    provers: dict[str, Prover] = {}
    fixtures = {"step": "source", "limited": "limited"}
    reports: dict[str, ExportReport] = {}

    def write(
        kind: str, recipe: str | Recipe, suffix: str = ".tflite", **options: bool
    ) -> ExportReport:
        chosen = recipe_named(recipe) if isinstance(recipe, str) else recipe

        def export_to(folder: Path) -> ExportReport:
            if kind not in provers:
                fixture = fixtures.get(kind, f"{kind}_source")
                provers[kind] = Prover(request.getfixturevalue(fixture), photographs(20, seed=1))
            return export(
                provers[kind].source,
                folder / f"{kind}-{chosen.name}{suffix}",
                recipe=chosen,
                prover=provers[kind],
                calibration=calibration if chosen.calibrated else None,
                gate=False,
                **options,
            )

        key = f"written {kind} {chosen} {suffix} {sorted(options.items())}"
        if key not in reports:
            reports[key] = once(key, export_to)
        return reports[key]

    return write
