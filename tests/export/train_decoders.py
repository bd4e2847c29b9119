"""Trains the tests' tiny decoders and keeps their weights: `python -m tests.export.train_decoders`.

It is run by hand where a decoder changes. Their captions, and so what rounding does to them, are
then the same on every machine that the tests run on.
"""

from __future__ import annotations

import keras
import numpy as np

from .conftest import (
    DECODERS,
    KINDS,
    ShowAndTell,
    photographs,
    prepared,
    tiny_encoder,
    variables,
)
from .prefix_decoders import FEATURES, MAX_WORDS, WORDS, Bidirectional, Padded


def train(encoder: keras.Model, decoder, epochs: int) -> None:
    """Teach the decoder a caption of 3 to 6 words for each kind of picture."""
    random = np.random.default_rng(11)
    captions = np.full((KINDS, MAX_WORDS), 2, np.int32)
    for kind in range(KINDS):
        length = 3 + kind % 4
        captions[kind, :length] = random.integers(4, WORDS, length)
    pixels = prepared(photographs(10 * KINDS, seed=99))
    features = np.asarray(encoder(pixels.astype("float32"), training=False))
    said = np.tile(captions, (10, 1))
    ids = np.concatenate([np.full((len(said), 1), 1, np.int32), said[:, :-1]], axis=1)
    inputs = [keras.Input((FEATURES,)), keras.Input((MAX_WORDS,), dtype="int32")]
    model = keras.Model(inputs, decoder.prefix_logits(*inputs))
    # Without smoothing logits grow until int8 can't follow: those of no captioner for use.
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(
        [features, ids], keras.ops.one_hot(said, WORDS), batch_size=100, epochs=epochs, verbose=0
    )


def main() -> None:
    DECODERS.mkdir(exist_ok=True)
    for make, epochs in ((ShowAndTell, 120), (Bidirectional, 60), (Padded, 60)):
        keras.utils.set_random_seed(3)
        encoder, decoder = tiny_encoder(), make()
        train(encoder, decoder, epochs)
        weights = {str(place): np.asarray(item) for place, item in enumerate(variables(decoder))}
        np.savez(DECODERS / f"{decoder.name}.npz", **weights)


if __name__ == "__main__":
    main()
