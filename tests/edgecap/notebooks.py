"""Captioners as notebooks build them, in tf_keras (Keras 2) or Keras 3, and what they say.

Small ones with random weights, scaled so that the next word is clear and depends on the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecap.importing import ImportOptions
from edgecap_runtime.decoding import State, Step

WORDS, EMBEDDING, UNITS, LENGTH, FEATURES = 60, 12, 8, 10, 256
"""Vocabulary, word vectors, LSTMs, padded prefix, and the features of MobileNet at width 0.25."""

START, END = 1, 2
VOCABULARY = ["zero", "startseq", "endseq", *(f"word{number}" for number in range(3, WORDS))]
"""Id 0 is a word here, and the padding too, as in many notebooks."""


_SPREAD = {WORDS: 8.0}
"""Deviation of a kernel's products, by its columns: logits are wide apart."""


@dataclass(frozen=True)
class Graph:
    """What a notebook may choose."""

    both: bool = False
    """Bidirectional."""
    mask: bool = True
    """mask_zero."""
    join: str = "add"
    """add, concatenate, or concatenate-image-first."""
    merged: int = 2
    """LSTMs behind the image; with none it joins after the last word."""
    gate: str = "sigmoid"
    """recurrent_activation."""
    words: int = 1
    """LSTMs before the image."""
    extras: bool = False
    """Dropout here and there, activations of their own, normalised features, no bias."""
    length: int | None = LENGTH
    """Of the input; None if it isn't fixed."""


def build(keras: Any, graph: Graph) -> Any:
    """Build a decoder on features with `keras` or `tf_keras`."""
    layers = keras.layers

    def lstm(sequences: bool) -> Any:
        layer = layers.LSTM(
            UNITS, return_sequences=sequences, recurrent_activation=graph.gate,
            use_bias=not graph.extras,
        )  # fmt: skip
        return layers.Bidirectional(layer) if graph.both else layer

    features, ids = keras.Input((FEATURES,)), keras.Input((graph.length,))
    word = layers.Embedding(WORDS, EMBEDDING, mask_zero=graph.mask)(ids)
    if graph.extras:
        word = layers.SpatialDropout1D(0.2)(word)
    for place in range(graph.words):
        word = lstm(graph.merged > 0 or place < graph.words - 1)(word)
    image = features
    if graph.extras:
        image = layers.Dropout(0.3)(layers.BatchNormalization()(image))
    image = layers.Dense(EMBEDDING, activation=None if graph.extras else "relu")(image)
    if graph.extras:
        image = layers.Activation("relu")(image)
    if graph.merged:
        word = layers.TimeDistributed(layers.Dense(EMBEDDING))(word)
        image = layers.RepeatVector(LENGTH)(image)
    else:
        word = layers.Dense(EMBEDDING, activation="tanh")(word)
    if graph.join == "add":
        joined = layers.Add()([word, image])
    elif graph.join == "concatenate":
        joined = layers.Concatenate()([word, image])
    else:
        joined = layers.Concatenate()([image, word])
    for place in range(graph.merged):
        joined = lstm(place < graph.merged - 1)(joined)
    if graph.extras:
        joined = layers.BatchNormalization()(joined)
    joined = layers.Dense(EMBEDDING, activation="relu")(joined)
    joined = layers.Dropout(0.5)(joined)
    said = layers.Dense(WORDS, activation=None if graph.extras else "softmax")(joined)
    if graph.extras:
        said = layers.Softmax()(said)
    return randomise(keras.Model([features, ids], said))


def randomise(model: Any, seed: int = 0) -> Any:
    """Give a model weights under which words are clear, differ, and depend on the image."""
    dice = np.random.default_rng(seed)
    arrays = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "moving_variance" in weight.name or "gamma" in weight.name:
            arrays.append(dice.uniform(0.5, 1.5, shape))
        elif len(shape) == 1:
            arrays.append(dice.normal(0, 0.3, shape))
        else:
            arrays.append(dice.normal(0, _SPREAD.get(shape[-1], 2.5) / np.sqrt(shape[0]), shape))
    if arrays[-1].shape == (WORDS,):
        # A runtime never says the start word; captions should end somewhere.
        arrays[-1][[START, END]] = -50, 1
    model.set_weights([array.astype(np.float32) for array in arrays])
    return model


def images(count: int = 50, seed: int = 1) -> np.ndarray:
    """Make features, as a network's last ReLU gives them."""
    dice = np.random.default_rng(seed)
    return np.maximum(dice.normal(0, 1, (count, FEATURES)), 0).astype(np.float32)


def prefixes(count: int = 550, longest: int = LENGTH, seed: int = 2) -> list[list[int]]:
    """Make random prefixes with the start word first, id 0 among the others."""
    dice = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        others = dice.integers(3, WORDS, dice.integers(0, longest))
        others[dice.random(len(others)) < 0.15] = 0
        made.append([START, *map(int, others)])
    return made


def padded(rows: Sequence[Sequence[int]], side: str = "end", length: int = LENGTH) -> np.ndarray:
    """Pad prefixes with id 0, as `pad_sequences` does."""
    ids = np.zeros((len(rows), length), np.int32)
    for place, row in enumerate(rows):
        if side == "end":
            ids[place, : len(row)] = row
        else:
            ids[place, length - len(row) :] = row
    return ids


Oracle = Callable[[np.ndarray, Sequence[Sequence[int]]], np.ndarray]
"""Features [rows, F] and prefixes to log-probabilities [rows, V]."""


def oracle(model: Any, side: str = "end") -> Oracle:
    """Ask the notebook's own model."""
    if type(model).__module__.startswith("tf_keras"):
        model.run_eagerly = True  # tracing Keras 2's LSTMs takes longer than running them

    def ask(features: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
        # Rows come in fifties, so that one graph is traced.
        said = model.predict([features, padded(rows, side)], verbose=0, batch_size=50)
        return np.log(np.maximum(said, 1e-30))

    return ask


def greedy(ask: Oracle, features: np.ndarray, longest: int = LENGTH - 1) -> list[list[int]]:
    """Caption as the notebook does: the likeliest word, until the end word."""
    said: list[list[int]] = [[START] for _ in features]
    for _ in range(longest):
        # All rows, those that ended too: a graph is traced anew for each number of rows.
        for row, word in zip(said, ask(features, said).argmax(-1), strict=True):
            row.append(int(word))
    captions = [row[1:] for row in said]
    return [row[: row.index(END)] if END in row else row for row in captions]


ENCODER_SETTINGS = ("encoder.width=0.25",)
"""A MobileNet whose features are 256 wide."""


def options(weights: Path | None = None, **choices: Any) -> ImportOptions:
    """Give import options with the smallest encoder there is."""
    settings = (*ENCODER_SETTINGS, *choices.pop("settings", ()))
    return ImportOptions(
        encoder="mobilenet", encoder_weights=weights, size=32, settings=settings, **choices
    )


def assert_same(logits: np.ndarray, wanted: np.ndarray) -> None:
    """Hold our logits [rows, V] against the notebook's log-probabilities.

    The likeliest word has to be the same in at least 500 rows: all but those where the notebook's
    own first two are so close that the last bit of a sum decides.
    """
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    ours = shifted / shifted.sum(-1, keepdims=True)
    # Two of 33000 differ by 1.2e-4 on an AMD EPYC, with oneDNN and without it.
    np.testing.assert_allclose(ours, np.exp(wanted), rtol=1e-4, atol=1e-4)
    first, second = np.sort(wanted, axis=-1)[:, :-3:-1].T
    clear = first - second > 1e-3
    assert clear.sum() >= 500
    np.testing.assert_array_equal(logits[clear].argmax(-1), wanted[clear].argmax(-1))
    # A model that says one word, or ignores its image, would prove nothing.
    assert len(set(wanted.argmax(-1))) > 4


def after(decoder: Any, features: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Give our decoder's logits [rows, V] after prefixes, padded to one length for speed."""
    return np.asarray(decoder.next_logits(features, padded(rows, decoder.options.padded)))


def by_step(step: Step, state: State, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Give the logits [rows, V] after prefixes that are fed word by word."""
    said = np.zeros((len(rows), WORDS), np.float32)
    alive = np.arange(len(rows))
    for place in range(max(map(len, rows))):
        going = [at for at, row in enumerate(alive) if len(rows[row]) > place]
        alive = alive[going]
        state = {name: np.asarray(array)[going] for name, array in state.items()}
        ids = np.array([rows[row][place] for row in alive], np.int32)
        logits, state = step(ids, state)
        said[alive] = logits
    return said
