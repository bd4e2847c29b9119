"""What both formats have in common when a written graph is looked at: nodes and constants.

The parts of a decoder step are told apart by what depends on what, never by names, so that a
decoder needs no conventions to be quantized and inspected by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Constant",
    "GraphView",
    "Node",
    "encoder_parts",
    "from_first_convolution",
    "step_parts",
]

# What runs over a sequence, as the formats call it.
_RECURRENT = {"WHILE", "LSTM", "DynamicQuantizeLSTM"}
# What makes float32 of a stored float16.
_WIDENING = {"DEQUANTIZE", "Cast"}
# What computes on images; after the last of these come features, of no place in the image.
_CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D", "Conv"}
_SPATIAL = _CONVOLUTIONS | {
    *("MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
    *("ReduceMean", "GlobalAveragePool", "AveragePool", "MaxPool"),
}


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
    """Give each node's part in the `encode` graph: encoder, or step for what makes the first state.

    The encoder is what the last operator on an image depends on; in a graph without one, all is.
    """
    spatial = [name for node in view.nodes if node.op in _SPATIAL for name in node.outputs]
    if not spatial:
        return ("encoder",) * len(view.nodes)
    encoder = _needed(view.nodes, spatial)
    return tuple("encoder" if place in encoder else "step" for place in range(len(view.nodes)))


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
    lookups = _lookups(view)
    parts = []
    for place in range(len(view.nodes)):
        if place in lookups:
            parts.append("embedding")
        else:
            parts.append("step" if place in states else "output")
    return tuple(parts)


def from_first_convolution(view: GraphView) -> set[int]:
    """Give the places of all convolutions and what depends on one.

    Before the first, pixels are scaled; a grid of 8 bits between would only lose some. A graph
    without convolutions has no such place; all of it counts.
    """
    made: set[str] = set()
    places = set()
    for place, node in enumerate(view.nodes):
        if node.op in _CONVOLUTIONS or made.intersection(node.inputs):
            made.update(node.outputs)
            places.add(place)
    return places or set(range(len(view.nodes)))


def _lookups(view: GraphView) -> set[int]:
    """Give the places of what looks up rows of stored tables, and of what widens such a table."""
    widened = {
        node.outputs[0]: place
        for place, node in enumerate(view.nodes)
        if node.op in _WIDENING and node.inputs[0] in view.constants
    }
    places = set()
    for place, node in enumerate(view.nodes):
        if node.op.upper() != "GATHER":
            continue
        table = node.inputs[0]
        if table in view.constants or table in widened:
            places.update({place, widened.get(table, place)})
    return places


def _needed(nodes: Sequence[Node], names: Iterable[str]) -> set[int]:
    """Give the places of all nodes that the named tensors depend on."""
    wanted = set(names)
    places: set[int] = set()
    for place in reversed(range(len(nodes))):
        if wanted.intersection(nodes[place].outputs):
            places.add(place)
            wanted.update(nodes[place].inputs)
    return places
