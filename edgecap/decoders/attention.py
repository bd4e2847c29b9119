"""An LSTM that looks at the image once more before each word: attention over the feature map.

The image's mean is the LSTM's first input, as in Show and Tell. After each word the LSTM's output
asks the places of the map, and what they answer joins it before the vocabulary: "global" attention
of Luong, Pham, Manning: "Effective Approaches to Attention-based Neural Machine Translation", EMNLP
2015 (arXiv:1508.04025), equations 5 to 7, with scores divided by the root of their width (Vaswani
et al. 2017, arXiv:1706.03762, equation 1); for images Lu et al.: "Knowing When to Look", CVPR 2017
(arXiv:1612.01887), section 2.1. Since nothing of the answer goes back into the LSTM, a whole
caption is learned in one pass. Pure Keras 3, so any Keras backend trains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from edgecap.decoders.checks import check_dropout, check_least
from edgecap.decoders.layers import lstm, word_vectors
from edgecap.decoders.registry import DECODERS, Decoder
from edgecap.decoders.whole_captions import WholeCaptionDecoder
from edgecap.encoders.pooling import places_of
from edgecap_runtime.errors import OptionError


@dataclass(frozen=True)
class AttentionOptions:
    """Settings of the attention decoder."""

    places: int = 0
    """Places of the encoder's last map, rows times columns; 0 for as many as it has."""

    embedding: int = 256
    """Width of the word vectors, and of the image's projection beside them."""

    units: int = 512
    """Width of the LSTM's state."""

    attention: int = 256
    """Width of what is kept of each place."""

    dropout: float = 0.5
    """Share dropped, in training, of image features, word vectors and what words are read from."""

    def __post_init__(self) -> None:
        check_least(self, 0, "places")
        check_least(self, 1, "embedding", "units", "attention")
        check_dropout(self.dropout)


class AttentionLstm(WholeCaptionDecoder):
    """The decoder, as a training graph over whole captions and as a single step."""

    def __init__(self, options: AttentionOptions, vocabulary_size: int, feature_width: int) -> None:
        super().__init__(name="attention_lstm")
        self.options = options
        self.vocabulary_size = vocabulary_size
        self.feature_width = feature_width
        self.channels = feature_width // options.places
        dropout = options.dropout
        self.feature_norm = keras.layers.BatchNormalization(name="feature_norm")
        self.feature_dropout = keras.layers.Dropout(dropout, name="feature_dropout")
        self.image_projection = keras.layers.Dense(options.embedding, name="image_projection")
        self.place_projection = keras.layers.Dense(options.attention, name="place_projection")
        self.word_embedding = word_vectors(vocabulary_size, options.embedding, "word_embedding")
        self.word_dropout = keras.layers.Dropout(dropout, name="word_dropout")
        self.recurrent = lstm(options.units, "lstm_0")
        self.query = keras.layers.Dense(options.attention, name="query")
        self.joined = keras.layers.Dense(options.units, activation="tanh", name="joined")
        self.output_dropout = keras.layers.Dropout(dropout, name="output_dropout")
        self.output_projection = keras.layers.Dense(vocabulary_size, name="output_projection")

    def build(self, input_shape: Any = None) -> None:
        """Create every weight, so that a file can be loaded before the first call."""
        options = self.options
        self.feature_norm.build((None, options.places, self.channels))
        self.image_projection.build((None, self.channels))
        self.place_projection.build((None, options.places, self.channels))
        self.word_embedding.build((None, None))
        self.recurrent.build((None, None, options.embedding))
        self.query.build((None, None, options.units))
        self.joined.build((None, None, options.units + options.attention))
        self.output_projection.build((None, None, options.units))
        self.built = True

    def _look(self, features: Any, training: bool | None = False) -> tuple[Any, Any]:
        """Give the image's vector [rows, E] and its places [rows, places, A]."""
        seen = ops.reshape(features, (-1, self.options.places, self.channels))
        seen = self.feature_norm(seen, training=training)
        whole = self.feature_dropout(ops.mean(seen, axis=1), training=training)
        places = self.feature_dropout(seen, training=training)
        return self.image_projection(whole), self.place_projection(places)

    def _answer(self, output: Any, places: Any, training: bool | None = False) -> Any:
        """Ask the places by the LSTM's output [rows, T, units]; gives logits [rows, T, V]."""
        scores = ops.matmul(self.query(output), ops.transpose(places, (0, 2, 1)))
        shares = ops.softmax(scores / self.options.attention**0.5, axis=-1)
        seen = ops.matmul(shares, places)
        joined = self.joined(ops.concatenate([output, seen], axis=-1))
        return self.output_projection(self.output_dropout(joined, training=training))

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Run whole captions, as `ShowAndTell.call`."""
        image, places = self._look(inputs["features"], training)
        words = self.word_dropout(self.word_embedding(inputs["ids"]), training=training)
        sequence = ops.concatenate([ops.expand_dims(image, 1), words], axis=1)
        return self._answer(self.recurrent(sequence)[:, 1:], places, training)

    @property
    def state_spec(self) -> dict[str, int]:
        """Names and widths of what is carried: the places, h and c."""
        options = self.options
        return {
            "places": options.places * options.attention,
            "h0": options.units,
            "c0": options.units,
        }

    def first_state(self, features: Any) -> dict[str, Any]:
        """Feed the image's mean; features float32 [rows, F]."""
        image, places = self._look(features)
        zeros = ops.zeros_like(ops.repeat(features[:, :1], self.options.units, axis=1))
        _, (hidden, cell) = self.recurrent.cell(image, [zeros, zeros], training=False)
        flat = ops.reshape(places, (-1, self.options.places * self.options.attention))
        return {"places": flat, "h0": hidden, "c0": cell}

    def step(self, ids: Any, vectors: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Feed one word, as `ShowAndTell.step`."""
        del ids
        output, (hidden, cell) = self.recurrent.cell(
            vectors, [state["h0"], state["c0"]], training=False
        )
        places = ops.reshape(state["places"], (-1, self.options.places, self.options.attention))
        logits = self._answer(ops.expand_dims(output, 1), places)[:, 0]
        return logits, {"places": state["places"], "h0": hidden, "c0": cell}


def _fitted(options: AttentionOptions, encoder: Any) -> AttentionOptions:
    """Settle the places: those of the encoder's map."""
    places = places_of(encoder)
    if not places:
        raise OptionError(
            "the decoder 'attention-lstm' chooses among the places of the encoder's map, and this "
            "encoder gives none; set encoder.pooling=map"
        )
    if options.places not in (0, places):
        raise OptionError(
            f"decoder.places is {options.places} but the encoder's map has {places} places; leave "
            "it out"
        )
    return replace(options, places=places)


def _build(options: AttentionOptions, vocabulary_size: int, feature_width: int) -> AttentionLstm:
    decoder = AttentionLstm(options, vocabulary_size, feature_width)
    decoder.build()
    return decoder


DECODERS.register(
    "attention-lstm",
    Decoder(
        name="attention-lstm",
        options=AttentionOptions,
        build=_build,
        pooling="map",
        fitted=_fitted,
    ),
)
