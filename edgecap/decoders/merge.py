"""Merge decoders: LSTMs read the words, the image joins their outputs, more LSTMs may follow.

Tanti, Gatt, Camilleri: "Where to put the image in an image caption generator", 2018
(arXiv:1703.09137), section 3, and the graph of many Flickr8k notebooks. Pure Keras 3.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from edgecap.decoders.layers import build_lstms, lstm, scale_dense, table_of, word_vectors
from edgecap.decoders.merge_options import MergeOptions
from edgecap.decoders.registry import DECODERS, Decoder
from edgecap.decoders.sequences import Unmasked, last_outputs, run_lstm
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap_export import Recurrence
    from edgecap_runtime.manifest import Prefix


class MergeDecoder(keras.Model):  # type: ignore[misc]
    """The decoder, as a training graph and as what an export traces: a step or a prefix graph.

    Padding is masked in every LSTM, whatever Keras version trains it, unless an imported model was
    trained otherwise (`MergeOptions.mask`). Unidirectional and masked, a word only ever adds to
    what was read before: the decoder is a step with carried states. A backward LSTM reads every
    new word first, so with one there is no state to carry: each word takes the whole prefix.
    """

    def __init__(
        self, name: str, options: MergeOptions, bidirectional: bool, words: int, features: int
    ) -> None:
        """Make the layers.

        Args:
            name: the decoder family's name.
            options: sizes and the rest.
            bidirectional: whether each LSTM has a backward twin beside it.
            words: V, the vocabulary's size.
            features: F, the width of the image features.
        """
        super().__init__(name=name.replace("-", "_"))
        options.check_widths(bidirectional, features)
        self.family = name
        self.options = options
        self.bidirectional = bidirectional
        self.vocabulary_size = words
        self.feature_width = features
        dense = keras.layers.Dense
        self.feature_norm = keras.layers.BatchNormalization() if options.feature_norm else None
        self.image_projection = (
            dense(options.image_projection, activation=options.image_activation)
            if options.image_projection
            else None
        )
        self.word_embedding = word_vectors(words, options.embedding)
        self.word_recurrent = self._recurrent(
            options.word_units, last=not options.merged_units, prefix="word_lstm"
        )
        self.word_projection = (
            dense(options.word_projection, activation=options.word_activation)
            if options.word_projection
            else None
        )
        self.merged_recurrent = self._recurrent(
            options.merged_units, last=True, prefix="merged_lstm"
        )
        self.hidden = (
            dense(options.hidden, activation=options.hidden_activation) if options.hidden else None
        )
        # A tied output reads the word vectors; only its bias is its own.
        self.output_projection = None if options.tied else dense(words)
        self.output_bias = (
            self.add_weight(shape=(words,), initializer="zeros", name="output_bias")
            if options.tied
            else None
        )
        self.feature_dropout = keras.layers.Dropout(options.dropout)
        self.word_dropout = keras.layers.Dropout(options.dropout)
        self.output_dropout = keras.layers.Dropout(options.dropout)

    def build(self, input_shape: Any = None) -> None:
        """Create every weight, so that a file can be loaded before the first call."""
        options = self.options
        image = self.feature_width
        for layer in (self.feature_norm, self.image_projection):
            if layer is not None:
                layer.build((None, image))
        image = options.image_projection or image
        self.word_embedding.build((None, None))
        width = build_lstms(self.word_recurrent, options.embedding)
        if self.word_projection is not None:
            self.word_projection.build((None, None, width))
            width = options.word_projection
        width = image + width if options.merge == "concatenate" else width
        width = build_lstms(self.merged_recurrent, width)
        if self.hidden is not None:
            self.hidden.build((None, width))
            width = options.hidden
        if self.output_projection is not None:
            self.output_projection.build((None, width))
        self.built = True

    # What an export asks for.

    @property
    def kind(self) -> str:
        """Whether the exported decoder is a "step" or a "prefix" graph."""
        return "step" if not self.bidirectional and self.options.reads_no_padding else "prefix"

    @property
    def prefix(self) -> Prefix:
        """How a prefix graph wants its words."""
        from edgecap_runtime.manifest import Prefix

        options = self.options
        if options.reads_no_padding:
            skipped = options.padding_id
            return Prefix(length=None, padding_id=skipped, padded="end", skipped_id=skipped)
        return Prefix(
            length=options.length,
            padding_id=options.padding_id,
            padded=options.padded,
            skipped_id=None,
        )

    @property
    def state_spec(self) -> dict[str, int]:
        """Names and widths of what is carried: the image and, in a step, h and c of each LSTM."""
        carried = {"image": self.options.image_projection or self.feature_width}
        if self.kind == "step":
            units = (*self.options.word_units, *self.options.merged_units)
            for layer, width in enumerate(units):
                carried |= {f"h{layer}": width, f"c{layer}": width}
        return carried

    @property
    def embedding_table(self) -> np.ndarray:
        """The word vectors, float32 [V, E]."""
        return table_of(self.word_embedding)

    def first_state(self, features: Any) -> dict[str, Any]:
        """Turn image features float32 [rows, F] into what `state_spec` names, [rows, width]."""
        state = {"image": self._image(features)}
        for name, width in self.state_spec.items():
            if name != "image":
                state[name] = ops.zeros_like(ops.repeat(features[:, :1], width, axis=1))
        return state

    def step(self, ids: Any, vectors: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Feed one word; a masked one leaves the state as it is.

        Args:
            ids: int32 [rows], the words themselves.
            vectors: float32 [rows, E], the rows of `embedding_table` that `ids` name.
            state: as `first_state` or the step before returned it.

        Returns:
            Logits float32 [rows, V] and the next state.
        """
        following = {"image": state["image"]}
        masked = ops.expand_dims(ops.equal(ids, self.options.padding_id), -1)
        vector = vectors
        for place, layer in enumerate((*self.word_recurrent, *self.merged_recurrent)):
            if place == len(self.word_recurrent):
                vector = self._merged(self._projected(vector), state["image"])
            before = [state[f"h{place}"], state[f"c{place}"]]
            _, after = layer.cell(vector, before, training=False)
            hidden, cell = (
                ops.where(masked, old, new) for old, new in zip(before, after, strict=True)
            )
            following[f"h{place}"], following[f"c{place}"] = hidden, cell
            vector = hidden
        if not self.merged_recurrent:
            vector = self._merged(self._projected(vector), state["image"])
        return self._logits(vector), following

    def next_word(
        self, ids: Any, vectors: Any, state: Mapping[str, Any], recurrence: Recurrence
    ) -> Any:
        """Say the word after a whole prefix.

        Args:
            ids: int32 [rows, T], words and padding as `prefix` says.
            vectors: float32 [rows, T, E], the rows of `embedding_table` that `ids` name.
            state: as `first_state` returned it.
            recurrence: runs LSTMs over a sequence, as the file's format does it best.

        Returns:
            Logits float32 [rows, V].
        """
        masked = not self.options.reads_no_padding and self.options.mask == "keras3"
        order = Unmasked(ops.not_equal(ids, self.options.padding_id)) if masked else None
        sequence = vectors
        for layer in self.word_recurrent[:-1]:
            sequence = ops.concatenate(run_lstm(layer, sequence, recurrence, order), axis=-1)
        outputs = run_lstm(self.word_recurrent[-1], sequence, recurrence, order)
        if not self.merged_recurrent:
            return self._logits(
                self._merged(self._projected(last_outputs(outputs)), state["image"])
            )
        sequence = self._projected(ops.concatenate(outputs, axis=-1))
        sequence = self._merged(sequence, ops.expand_dims(state["image"], 1))
        for layer in self.merged_recurrent[:-1]:
            sequence = ops.concatenate(run_lstm(layer, sequence, recurrence), axis=-1)
        return self._logits(last_outputs(run_lstm(self.merged_recurrent[-1], sequence, recurrence)))

    # What Keras itself says.

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Learn from bare prefixes, as if padding were masked everywhere.

        Args:
            inputs: "features" float32 [rows, F] and "ids" int32 [rows, T], words from the start
                word on. With a step, padding may follow; else all T places are words.
            training: whether to drop.

        Returns:
            Logits float32 [rows, T, V] after each word, or [rows, 1, V] after all T where there
            is no step.
        """
        if not self.options.reads_no_padding:
            raise OptionError(
                f"decoder.mask is {self.options.mask!r}, which imported models may have; train "
                "with 'keras2', where no LSTM reads padding"
            )
        said = self._run_layers(inputs["features"], inputs["ids"], None, None, training)
        return said if self.kind == "step" else ops.expand_dims(said, 1)

    def prefix_logits(self, features: Any, ids: Any) -> Any:
        """Give the logits [rows, T, V] after each word of ids int32 [rows, T], as Keras does."""
        if self.kind == "step":
            mask = ops.not_equal(ids, self.options.padding_id)
            return self._run_layers(features, ids, mask, mask, training=False)
        places = ids.shape[1]
        if self.prefix.padded == "start":
            after = [self.next_logits(features, ids[:, : end + 1]) for end in range(places)]
            return ops.stack(after, axis=1)
        # All prefixes at once, the words behind each one's end padded away.
        up_to = ops.tril(ops.ones((places, places), "int32"))
        words = ops.expand_dims(ids, 1) * up_to + self.options.padding_id * (1 - up_to)
        logits = self.next_logits(
            ops.repeat(features, places, axis=0), ops.reshape(words, (-1, places))
        )
        return ops.reshape(logits, (-1, places, self.vocabulary_size))

    def next_logits(self, features: Any, ids: Any) -> Any:
        """Give the logits [rows, V] after the whole of ids int32 [rows, T], as Keras does.

        Where LSTMs read padding, the prefix is padded here to `length`.
        """
        options = self.options
        if not options.reads_no_padding:
            missing = options.length - ids.shape[1]
            sides = (missing, 0) if options.padded == "start" else (0, missing)
            ids = ops.pad(ids, ((0, 0), sides), constant_values=options.padding_id)
        mask = ops.not_equal(ids, options.padding_id)
        said = self._run_layers(
            features,
            ids,
            None if options.mask == "none" else mask,
            mask if options.mask == "keras2" else None,
            training=False,
        )
        return said[:, -1] if self.kind == "step" else said

    def scale_logits(self, factor: float) -> None:
        """Multiply all logits by a factor from now on, in the weights.

        Raises:
            OptionError: the output layer's weights are the word vectors too.
        """
        if self.output_projection is None:
            raise OptionError(
                "a tied output can't be made sharper; set training.sharpen=1 or decoder.tied=false"
            )
        scale_dense(self.output_projection, factor)

    def _run_layers(
        self, features: Any, ids: Any, word_mask: Any, merged_mask: Any, training: bool | None
    ) -> Any:
        """Run Keras' own layers; gives logits [rows, T, V] of a step, else [rows, V]."""
        image = self._image(features, training)
        vector = self.word_dropout(self.word_embedding(ids), training=training)
        for layer in self.word_recurrent:
            vector = layer(vector, mask=word_mask, training=training)
        vector = self._projected(vector)
        vector = self._merged(vector, image if vector.ndim == 2 else ops.expand_dims(image, 1))
        for layer in self.merged_recurrent:
            vector = layer(vector, mask=merged_mask, training=training)
        return self._logits(vector, training)

    def _recurrent(self, units: Sequence[int], *, last: bool, prefix: str) -> list[Any]:
        """Make a stack of LSTMs; `last`: whether the decoder's last one is among them."""
        layers = []
        for place, width in enumerate(units):
            layer = lstm(
                width,
                f"{prefix}_{place}",
                gate=self.options.recurrent_activation,
                # A step predicts after each word, a prefix graph only after all.
                sequences=not (last and place == len(units) - 1 and self.kind == "prefix"),
            )
            layers.append(keras.layers.Bidirectional(layer) if self.bidirectional else layer)
        return layers

    def _image(self, features: Any, training: bool | None = False) -> Any:
        if self.feature_norm is not None:
            features = self.feature_norm(features, training=training)
        features = self.feature_dropout(features, training=training)
        return features if self.image_projection is None else self.image_projection(features)

    def _projected(self, vector: Any) -> Any:
        return vector if self.word_projection is None else self.word_projection(vector)

    def _merged(self, words: Any, image: Any) -> Any:
        """Join words [rows, (T,) W] and the image [rows, (1,) I]."""
        if self.options.merge == "add":
            return words + image
        if words.ndim == 3:
            # Not `repeat`, which wants to know T.
            image = image * ops.ones_like(words[..., :1])
        return ops.concatenate([words, image], axis=-1)

    def _logits(self, vector: Any, training: bool | None = False) -> Any:
        vector = self.output_dropout(vector, training=training)
        if self.hidden is not None:
            vector = self.hidden(vector)
        if self.output_projection is not None:
            return self.output_projection(vector)
        return ops.matmul(vector, ops.transpose(self.word_embedding.embeddings)) + self.output_bias


def _build(
    name: str, bidirectional: bool, options: MergeOptions, words: int, features: int
) -> MergeDecoder:
    decoder = MergeDecoder(name, options, bidirectional, words, features)
    decoder.build()
    return decoder


for _name, _bidirectional in (("merge-lstm", False), ("merge-bilstm", True)):
    DECODERS.register(
        _name,
        Decoder(
            name=_name,
            options=MergeOptions,
            build=functools.partial(_build, _name, _bidirectional),
            learns_from="prefixes" if _bidirectional else "captions",
        ),
    )
