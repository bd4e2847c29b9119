"""The way notebooks caption: the whole padded prefix again for every word, greedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgecap_bench.sample import Clock, Sample
from edgecap_bench.targets.keras_run import KerasRun, plan_run
from edgecap_bench.targets.registry import Kind, Plan, Setting, no_variants, register

__all__ = ["CompiledNotebook", "Notebook"]

_PHOTOS = 3
_PHOTOS_COMPILED = 6


class Notebook(KerasRun):
    """`Model.predict` for the encoder, and again on the padded prefix for each word."""

    def load(self) -> None:
        """Load the run and make a model of its training graph."""
        super().load()
        self._padded = self.source.defaults.max_words
        self._features, self._logits = self._functions()

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file; the beam must be 1."""
        if beam != 1:
            raise ValueError(f"the notebook's way is greedy, and a beam of {beam} was asked for")
        vocabulary = self.source.vocabulary
        never = [*vocabulary.never_said, vocabulary.start_id]
        # Filled with the padding's id; what follows the prefix changes no word, as in training.
        padding = vocabulary.padding_id or 0
        clock = Clock()
        image = self.prepared(photo)[None].astype(np.float32)
        clock.mark()
        features = self._features(image)
        clock.mark()
        ids: list[int] = []
        steps = 0
        while len(ids) < self._padded:
            prefix = np.full((1, self._padded), padding, np.int32)
            prefix[0, : len(ids) + 1] = [vocabulary.start_id, *ids]
            logits = np.array(self._logits(features, prefix)[0, len(ids)])
            steps += 1
            logits[never] = -np.inf
            word = int(logits.argmax())
            if word == vocabulary.end_id:
                break
            ids.append(word)
        clock.mark()
        return clock.sample(steps, ids, vocabulary.words_of(ids))

    def _functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """Give pixels to features, and features and prefix [1, T] to logits [1, T, V]."""
        import keras

        encoder, decoder = self.source.encoder, self.source.decoder
        features = keras.Input((encoder.output_shape[-1],), name="features")
        ids = keras.Input((self._padded,), dtype="int32", name="ids")
        whole = keras.Model([features, ids], decoder.prefix_logits(features, ids))
        return (
            lambda image: encoder.predict(image, verbose=0),
            lambda vector, prefix: whole.predict([vector, prefix], verbose=0),
        )


class CompiledNotebook(Notebook):
    """The same with both calls compiled by `tf.function`: the honest peer of the notebook."""

    def _functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        import tensorflow as tf

        encoder, decoder = self.source.encoder, self.source.decoder
        pixels = tf.TensorSpec([1, *encoder.input_shape[1:]], tf.float32)
        vector = tf.TensorSpec([1, encoder.output_shape[-1]], tf.float32)
        prefix = tf.TensorSpec([1, self._padded], tf.int32)
        encode = tf.function(lambda image: encoder(image, training=False), autograph=False)
        whole = tf.function(decoder.prefix_logits, autograph=False)
        encoded = encode.get_concrete_function(pixels)
        said = whole.get_concrete_function(vector, prefix)
        return (
            lambda image: encoded(tf.constant(image)),
            lambda features, ids: said(features, tf.constant(ids)).numpy(),
        )


def _plan_of(label: str, target: str, photos: int) -> Callable[[Setting, str], Plan]:
    def plan(setting: Setting, variant: str) -> Plan:
        made = plan_run(setting, label, f"edgecap_bench.targets.notebook:{target}")
        return replace(made, beams=False, photos=photos, quality=False)

    return plan


register(
    Kind(
        "notebook",
        "Keras predict on the padded prefix for every word, as notebooks do",
        no_variants,
        _plan_of("notebook", "Notebook", _PHOTOS),
    )
)
register(
    Kind(
        "notebook-compiled",
        "the notebook's way as compiled tf.functions",
        no_variants,
        _plan_of("notebook-compiled", "CompiledNotebook", _PHOTOS_COMPILED),
    )
)
