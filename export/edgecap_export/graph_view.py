"""What both formats have in common when a written graph is looked at: nodes and constants.

The parts of a decoder step are told apart by what depends on what, never by names, so that a
decoder needs no conventions to be quantized and inspected by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Constant", "GraphView", "Node", "encoder_parts", "step_parts"]

# What runs over a sequence, as the formats call it.
_RECURRENT = {"WHILE", "LSTM", "DynamicQuantizeLSTM"}


@dataclass(frozen=True)
class Constant:
    """A tensor that is stored in the file."""

    type: str
    """Element type, e.g. "float32"."""
    shape: tuple[int, ...]
    """Its shape."""
    bytes: int
    """Bytes of its data."""
    identity: str
    """The same for tensors that share their data."""

    @property
    def is_matrix(self) -> bool:
        """Whether at least two dimensions are larger than 1: a weight, no bias and no scale."""
        return sum(size > 1 for size in self.shape) >= 2


@dataclass(frozen=True)
class Node:
    """An operator of a graph."""

    op: str
    """Its kind, as the format calls it."""
    inputs: tuple[str, ...]
    """Names of the tensors it reads."""
    outputs: tuple[str, ...]
    """Names of the tensors it writes."""


@dataclass(frozen=True)
class GraphView:
    """One graph of a file."""

    nodes: tuple[Node, ...]
    """Operators in the order in which they run."""
    constants: Mapping[str, Constant]
    """Stored tensors by name."""
    outputs: Mapping[str, str]
    """Tensor name per output: "logits", "next_state_<x>" or "state_<x>"."""


def encoder_parts(view: GraphView) -> tuple[str, ...]:
    """Give each node's part: all of the `encode` graph is the encoder."""
    return ("encoder",) * len(view.nodes)


def step_parts(view: GraphView) -> tuple[str, ...]:
    """Give each node's part: embedding, step or output.

    The embedding is what looks rows up in a stored table; the output is what only the logits
    depend on; all else, what the next states or a recurrence over a sequence depend on, is the
    recurrent step.
    """
    carried = [name for role, name in view.outputs.items() if role != "logits"]
    recurrent = [
        name for node in view.nodes if node.op in _RECURRENT for name in node.outputs if name
    ]
    states = _needed(view.nodes, carried + recurrent)
    parts = []
    for place, node in enumerate(view.nodes):
        if node.op.upper() == "GATHER" and node.inputs[0] in view.constants:
            parts.append("embedding")
        else:
            parts.append("step" if place in states else "output")
    return tuple(parts)


def _needed(nodes: Sequence[Node], names: Iterable[str]) -> set[int]:
    """Give the places of all nodes that the named tensors depend on."""
    wanted = set(names)
    places: set[int] = set()
    for place in reversed(range(len(nodes))):
        if wanted.intersection(nodes[place].outputs):
            places.add(place)
            wanted.update(nodes[place].inputs)
    return places
