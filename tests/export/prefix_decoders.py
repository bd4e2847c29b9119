"""Tiny decoders of kind "prefix", and the sizes that all tiny decoders have."""

from __future__ import annotations

from types import MappingProxyType

import keras
import numpy as np
from keras import ops

from edgecap_export import directions_of
from edgecap_runtime.manifest import Prefix

WORDS, EMBEDDING, UNITS, FEATURES, MAX_WORDS = 61, 16, 24, 256, 8
# Every order: longer, shorter, more rows, fewer, back to where it began.
SHAPES = ((1, 1), (1, 5), (3, 5), (3, 2), (5, 9), (1, 9), (2, 1), (1, 1), (3, 5))


class PrefixDecoder:
    """Words, LSTMs over them, the image added, more LSTMs, the next word."""

    kind = "prefix"
    state_spec = MappingProxyType({"image": UNITS})

    def __init__(self) -> None:
        self.image = keras.layers.Dense(UNITS)
        self.words = keras.layers.Embedding(WORDS, EMBEDDING)
        self.output = keras.layers.Dense(WORDS)
        self.prefix_logits(np.zeros((1, FEATURES), "float32"), np.full((1, 2), 1, "int32"))

    @property
    def embedding_table(self) -> np.ndarray:
        return np.asarray(self.words.embeddings)

    def first_state(self, features):
        return {"image": self.image(features)}

    def next_logits(self, features, ids):
        return self.prefix_logits(features, ids)[:, -1]

    def prefix_logits(self, features, ids):
        """All places at once: T rows for each row, each with one place more than the last."""
        length = ids.shape[1]
        until = np.tril(np.ones((length, length), "int32"))
        every = ops.reshape(ops.expand_dims(ids, 1) * until, (-1, length))
        image = ops.repeat(self.image(features), length, axis=0)
        logits = self.keras_logits(every, ops.expand_dims(image, 1))
        return ops.reshape(logits, (-1, length, WORDS))


class Bidirectional(PrefixDecoder):
    """Reads bare prefixes both ways; the padding 0 is masked in every layer."""

    name = "bidirectional"
    prefix = Prefix(length=None, padding_id=0, padded="end", skipped_id=0)

    def __init__(self) -> None:
        both, lstm = keras.layers.Bidirectional, keras.layers.LSTM
        self.first = both(lstm(UNITS // 2, return_sequences=True))
        self.second = both(lstm(UNITS // 2))
        super().__init__()

    def keras_logits(self, ids, image):
        mask = ops.not_equal(ids, 0)
        sequence = self.first(self.words(ids), mask=mask) + image
        return self.output(self.second(sequence, mask=mask))

    def next_word(self, ids, vectors, state, recurrence):
        words = ops.concatenate(recurrence(vectors, directions_of(self.first)), axis=-1)
        sequence = words + ops.expand_dims(state["image"], 1)
        forward, backward = recurrence(sequence, directions_of(self.second))
        return self.output(ops.concatenate([forward[:, -1], backward[:, 0]], axis=-1))


class Padded(PrefixDecoder):
    """One LSTM with hard gates that reads the padding too, up to a fixed length."""

    name = "padded"
    prefix = Prefix(length=MAX_WORDS + 1, padding_id=0, padded="end", skipped_id=None)

    def __init__(self) -> None:
        self.lstm = keras.layers.LSTM(
            UNITS, return_sequences=True, recurrent_activation="hard_sigmoid"
        )
        super().__init__()

    def keras_logits(self, ids, image):
        missing = MAX_WORDS + 1 - ids.shape[1]
        vectors = self.words(ops.pad(ids, ((0, 0), (0, missing))))
        return self.output((self.lstm(vectors) + image)[:, -1])

    def next_word(self, ids, vectors, state, recurrence):
        (outputs,) = recurrence(vectors, directions_of(self.lstm))
        return self.output(outputs[:, -1] + state["image"])


def prefixes(source, rows, length):
    """Words and a state, and what Keras says after them."""
    random = np.random.default_rng([rows, length])
    # From 4 on: no padding, no special word.
    words = random.integers(4, WORDS, (rows, length)).astype(np.int32)
    features = random.normal(0, 1, (rows, FEATURES)).astype(np.float32)
    state = np.asarray(source.decoder.first_state(features)["image"])
    expected = np.asarray(source.decoder.next_logits(features, words))
    (_, ids), *others = source.decoder.prefix.batches(words)
    assert not others
    return ids, state, expected
