"""Keras in TensorFlow as well as it goes without an export: encoder and step compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecap_bench.sample import Clock, Sample
from edgecap_bench.targets.keras_run import KerasRun, plan_run
from edgecap_bench.targets.registry import Kind, Plan, Setting, no_variants, register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecap_runtime.decoding import State

__all__ = ["KerasStep"]


class KerasStep(KerasRun):
    """`tf.function`s of encoder and decoder step, searched by the runtime's own search."""

    def load(self) -> None:
        """Load the run and trace its functions."""
        from edgecap_export.recipes import recipe_named
        from edgecap_export.step_graph import build_graph

        super().load()
        graph = build_graph(self.source, recipe_named("float32"))
        self._names = list(graph.state)
        self._encode = graph.encode.get_concrete_function(*graph.encode_specs(images=1))
        self._step = graph.step.get_concrete_function(*graph.step_specs())

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file."""
        import tensorflow as tf

        from edgecap_runtime.decoding import decode

        steps = 0

        def step(ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
            nonlocal steps
            steps += 1
            states = [tf.constant(state[name]) for name in self._names]
            answer = self._step(tf.constant(ids), *states)
            following = {name: answer[f"next_state_{name}"].numpy() for name in self._names}
            return answer["logits"].numpy(), following

        vocabulary = self.source.vocabulary
        clock = Clock()
        image = self.prepared(photo)
        clock.mark()
        first: Any = self._encode(tf.constant(image[None]))
        state = {name: first[f"state_{name}"].numpy() for name in self._names}
        clock.mark()
        found = decode(step, state, vocabulary, self.source.defaults.changed(beam=beam))
        clock.mark()
        ids = found[0].ids
        return clock.sample(steps, ids, vocabulary.words_of(ids))


def _plan(setting: Setting, variant: str) -> Plan:
    return plan_run(setting, "keras", "edgecap_bench.targets.keras_step:KerasStep")


register(Kind("keras", "Keras' own step, compiled by tf.function", no_variants, _plan))
