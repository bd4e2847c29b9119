"""Keras in TensorFlow as well as it goes without an export: encoder and decoder compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecap_bench.sample import Clock, Sample
from edgecap_bench.targets.keras_run import KerasRun, plan_run
from edgecap_bench.targets.registry import Kind, Plan, Setting, no_variants, register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecap_export.source import CaptionerSource
    from edgecap_runtime.backends import Backend
    from edgecap_runtime.decoding import State

__all__ = ["KerasStep"]


class KerasStep(KerasRun):
    """`tf.function`s of the encoder and of one word, searched by the runtime's own search.

    A word is a step where the decoder has one. Else it is the layers over the whole prefix as
    Keras runs them, at its true length unless the decoder reads padding: more than any notebook
    does, and all that Keras can do, for no state can be carried.
    """

    def load(self) -> None:
        """Load the run and trace its functions."""
        super().load()
        self.kind = self.source.decoder.kind
        self._backend = self._make_backend(self.source)

    def _make_backend(self, source: CaptionerSource) -> Backend:
        return _backend_of(source)

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file."""
        from edgecap_runtime.decoding import decode

        steps = 0

        def step(ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
            nonlocal steps
            steps += 1
            return self._backend.step(ids, state)

        vocabulary = self.source.vocabulary
        clock = Clock()
        image = self.prepared(photo)
        clock.mark()
        state = self._backend.encode(image)
        clock.mark()
        found = decode(step, state, vocabulary, self.source.defaults.changed(beam=beam))
        clock.mark()
        ids = found[0].ids
        return clock.sample(steps, ids, vocabulary.words_of(ids))


class _StepGraph:
    """The functions that an export converts, as a runtime's backend."""

    def __init__(self, source: CaptionerSource) -> None:
        from edgecap_export.recipes import recipe_named
        from edgecap_export.step_graph import build_graph

        graph = build_graph(source, recipe_named("float32"))
        self._names = list(graph.state)
        self._encode = graph.encode.get_concrete_function(*graph.encode_specs(images=1))
        self._step = graph.step.get_concrete_function(*graph.step_specs())

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state of an image, uint8 [height, width, 3]."""
        import tensorflow as tf

        first = self._encode(tf.constant(image[None]))
        return {name: first[f"state_{name}"].numpy() for name in self._names}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run one step for ids int32 [rows]."""
        import tensorflow as tf

        answer = self._step(tf.constant(ids), *(tf.constant(state[name]) for name in self._names))
        following = {name: answer[f"next_state_{name}"].numpy() for name in self._names}
        return answer["logits"].numpy(), following

    def close(self) -> None:
        """Free nothing: the process ends."""


class _PrefixGraph:
    """Keras' encoder, and its decoder over a whole prefix, as a runtime's backend."""

    def __init__(self, source: CaptionerSource, length: int | None) -> None:
        """Trace the functions; length: of the prefixes, None for any."""
        import tensorflow as tf

        encoder = source.encoder

        def encode(image: Any) -> Any:
            return encoder(tf.cast(image, tf.float32), training=False)

        pixels = tf.TensorSpec([1, *encoder.input_shape[1:]], tf.uint8)
        features = tf.TensorSpec([None, encoder.output_shape[-1]], tf.float32)
        ids = tf.TensorSpec([None, length], tf.int32)
        self._encode = tf.function(encode, autograph=False).get_concrete_function(pixels)
        following = tf.function(source.decoder.next_logits, autograph=False)
        self._next = following.get_concrete_function(features, ids)

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the features of an image, uint8 [height, width, 3]."""
        import tensorflow as tf

        return {"features": self._encode(tf.constant(image[None])).numpy()}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run the decoder over prefixes, ids int32 [rows, T]."""
        import tensorflow as tf

        logits = self._next(tf.constant(state["features"]), tf.constant(ids))
        return logits.numpy(), state

    def close(self) -> None:
        """Free nothing: the process ends."""


def _backend_of(source: CaptionerSource) -> Backend:
    from edgecap_runtime.prefix import PrefixBackend

    prefix = source.prefix
    if prefix is None:
        return _StepGraph(source)
    return PrefixBackend(_PrefixGraph(source, prefix.length), prefix)


def _plan(setting: Setting, variant: str) -> Plan:
    return plan_run(setting, "keras", "edgecap_bench.targets.keras_step:KerasStep")


register(Kind("keras", "Keras' own decoder, compiled by tf.function", no_variants, _plan))
