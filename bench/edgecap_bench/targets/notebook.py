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
    """`Model.predict` for the encoder, and again on the padded prefix for each word.

    What is predicted from depends on how the decoder was trained, so that each is given the graph
    that its notebooks have:

    - A merge decoder learned from prefixes padded to its `length`, and the graph answers with one
      word. The notebook runs that graph, padding and mask and all.
    - Show and Tell learned from whole captions, and the graph answers with a word after each place.
      The notebook runs it on a caption padded to the longest that is asked for, and reads the place
      after the last word; what stands behind changes nothing there.
    """

    kind = "prefix"

    def load(self) -> None:
        """Load the run and make a model of its training graph."""
        super().load()
        self._longest = self.source.defaults.max_words
        options = self.design.decoder_options
        # Without a length, the decoder learned from whole captions.
        if hasattr(options, "length"):
            self._graph = self.source.decoder.next_logits
            self._length = max(options.length, self._longest)
            self._padding, self._side = options.padding_id, options.padded
        else:
            self._graph = self.source.decoder.prefix_logits
            self._length = self._longest
            self._padding, self._side = self.source.vocabulary.padding_id or 0, "end"
        self._features, self._logits = self._functions()

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file; the beam must be 1."""
        if beam != 1:
            raise ValueError(f"the notebook's way is greedy, and a beam of {beam} was asked for")
        vocabulary = self.source.vocabulary
        never = [*vocabulary.never_said, vocabulary.start_id]
        clock = Clock()
        image = self.prepared(photo)[None].astype(np.float32)
        clock.mark()
        features = self._features(image)
        clock.mark()
        ids: list[int] = []
        steps = 0
        while len(ids) < self._longest:
            words = [vocabulary.start_id, *ids]
            prefix = np.full((1, self._length), self._padding, np.int32)
            prefix[0, slice(-len(words), None) if self._side == "start" else slice(len(words))] = (
                words
            )
            answer = self._logits(features, prefix)[0]
            logits = np.array(answer if answer.ndim == 1 else answer[len(ids)])
            steps += 1
            logits[never] = -np.inf
            word = int(logits.argmax())
            if word == vocabulary.end_id:
                break
            ids.append(word)
        clock.mark()
        return clock.sample(steps, ids, vocabulary.words_of(ids))

    def _functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """Give pixels to features, and features and prefix [1, T] to logits [1, V] or [1, T, V]."""
        import keras

        encoder = self.source.encoder
        features = keras.Input((encoder.output_shape[-1],), name="features")
        ids = keras.Input((self._length,), dtype="int32", name="ids")
        whole = keras.Model([features, ids], self._graph(features, ids))
        return (
            lambda image: encoder.predict(image, verbose=0),
            lambda vector, prefix: whole.predict([vector, prefix], verbose=0),
        )


class CompiledNotebook(Notebook):
    """The same with both calls compiled by `tf.function`: the honest peer of the notebook."""

    def _functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        import tensorflow as tf

        encoder = self.source.encoder
        pixels = tf.TensorSpec([1, *encoder.input_shape[1:]], tf.float32)
        vector = tf.TensorSpec([1, encoder.output_shape[-1]], tf.float32)
        prefix = tf.TensorSpec([1, self._length], tf.int32)
        encode = tf.function(lambda image: encoder(image, training=False), autograph=False)
        whole = tf.function(self._graph, autograph=False)
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
