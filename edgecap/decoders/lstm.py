"""Show and Tell: the image is the LSTM's first input, words follow.

Vinyals, Toshev, Bengio, Erhan: "Show and Tell: A Neural Image Caption Generator", CVPR 2015
(arXiv:1411.4555), equations 10 to 12. Pure Keras 3, so any Keras backend trains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from edgecap.decoders.checks import check_dropout, check_least
from edgecap.decoders.layers import lstm, word_vectors
from edgecap.decoders.registry import DECODERS, Decoder
from edgecap.decoders.whole_captions import WholeCaptionDecoder


@dataclass(frozen=True)
class LstmOptions:
    """Settings of the Show and Tell decoder."""

    embedding: int = 256
    """Width of the word vectors, and of the image's projection beside them."""

    units: int = 512
    """Width of the LSTM's state."""

    layers: int = 1
    """LSTM layers, one on top of the other."""

    dropout: float = 0.5
    """Share dropped, in training, of image features, word vectors and the LSTM's output."""

    def __post_init__(self) -> None:
        check_least(self, 1, "embedding", "units", "layers")
        check_dropout(self.dropout)


class ShowAndTell(WholeCaptionDecoder):
    """The decoder, as a training graph over whole captions and as a single step.

    Both run the same layers: the step calls the `cell` of each training LSTM, so there is one set
    of weights and nothing to copy.
    """

    def __init__(self, options: LstmOptions, vocabulary_size: int, feature_width: int) -> None:
        super().__init__(name="lstm")
        self.options = options
        self.vocabulary_size = vocabulary_size
        self.feature_width = feature_width
        dropout = options.dropout
        # Features of a ReLU network are all positive and of unlike scale: standardised ones are
        # learned from faster (1.7 epochs of Flickr8k: 3.16 nats a word with, 3.4 without). An
        # exporter folds the layer into constants.
        self.feature_norm = keras.layers.BatchNormalization(name="feature_norm")
        self.feature_dropout = keras.layers.Dropout(dropout, name="feature_dropout")
        self.image_projection = keras.layers.Dense(options.embedding, name="image_projection")
        self.word_embedding = word_vectors(vocabulary_size, options.embedding, "word_embedding")
        self.word_dropout = keras.layers.Dropout(dropout, name="word_dropout")
        self.recurrent = [lstm(options.units, f"lstm_{layer}") for layer in range(options.layers)]
        self.output_dropout = keras.layers.Dropout(dropout, name="output_dropout")
        self.output_projection = keras.layers.Dense(vocabulary_size, name="output_projection")

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Run whole captions.

        Args:
            inputs: "features" float32 [rows, F] and "ids" int32 [rows, T], words from the start
                word on. Padding may only follow the caption: an LSTM never looks ahead.
            training: whether to drop.

        Returns:
            Logits float32 [rows, T, V]; row t is the prediction after word t.
        """
        features = self.feature_norm(inputs["features"], training=training)
        features = self.feature_dropout(features, training=training)
        image = ops.expand_dims(self.image_projection(features), 1)
        words = self.word_dropout(self.word_embedding(inputs["ids"]), training=training)
        sequence = ops.concatenate([image, words], axis=1)
        for layer in self.recurrent:
            sequence = layer(sequence)
        # The image's own output predicts nothing: the start word comes after it.
        return self.output_projection(self.output_dropout(sequence[:, 1:], training=training))

    def build(self, input_shape: Any = None) -> None:
        """Create every weight, so that a file can be loaded before the first call."""
        options = self.options
        self.feature_norm.build((None, self.feature_width))
        self.image_projection.build((None, self.feature_width))
        self.word_embedding.build((None, None))
        width = options.embedding
        for layer in self.recurrent:
            layer.build((None, None, width))
            width = options.units
        self.output_projection.build((None, None, width))
        self.built = True

    @property
    def state_spec(self) -> dict[str, int]:
        """Names and widths of the carried state: h and c of each layer."""
        return {
            f"{kind}{layer}": self.options.units
            for layer in range(self.options.layers)
            for kind in "hc"
        }

    def first_state(self, features: Any) -> dict[str, Any]:
        """Feed the image.

        Args:
            features: float32 [rows, F].

        Returns:
            The state that follows, name to float32 [rows, units].
        """
        # Zeros made from the features, for a cell's own initial state needs a known row count.
        zeros = ops.zeros_like(ops.repeat(features[:, :1], self.options.units, axis=1))
        state = dict.fromkeys(self.state_spec, zeros)
        image = self.image_projection(self.feature_norm(features, training=False))
        return self._advance(image, state)[1]

    def step(self, ids: Any, vectors: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Feed one word.

        Args:
            ids: int32 [rows], the words themselves; this decoder needs their vectors only.
            vectors: float32 [rows, E], the rows of `embedding_table` that `ids` name.
            state: as `first_state` or the step before returned it.

        Returns:
            Logits float32 [rows, V] and the next state.
        """
        del ids
        output, state = self._advance(vectors, state)
        return self.output_projection(output), state

    def _advance(self, vector: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        following: dict[str, Any] = {}
        for layer, recurrent in enumerate(self.recurrent):
            carried = [state[f"h{layer}"], state[f"c{layer}"]]
            vector, (hidden, cell) = recurrent.cell(vector, carried, training=False)
            following[f"h{layer}"], following[f"c{layer}"] = hidden, cell
        return vector, following


def _build(options: LstmOptions, vocabulary_size: int, feature_width: int) -> ShowAndTell:
    decoder = ShowAndTell(options, vocabulary_size, feature_width)
    decoder.build()
    return decoder


DECODERS.register("lstm", Decoder(name="lstm", options=LstmOptions, build=_build))
