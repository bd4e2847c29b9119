"""Building ONNX graphs: nodes of the search inside a file, and copies of nodes that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["NodeBuilder"]


class NodeBuilder:
    """Nodes and small constants of a new graph, all names under one prefix.

    Among what it builds are the `greedy.Operations`; tensors are their names.
    """

    def __init__(self, prefix: str) -> None:
        """Begin with nothing."""
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node of one result, which is numbered unless it is named; gives its name."""
        place = len(self.nodes)
        result = output or f"{self._prefix}{place}"
        self.nodes.append(
            helper.make_node(op, inputs, [result], name=f"{self._prefix}{op}_{place}", **attributes)
        )
        return result

    def copied(self, graph: Any, given: Mapping[str, str]) -> dict[str, str]:
        """Copy a graph's nodes and its own constants; what they take from outside stays there.

        given: names in place of others. Gives the new names by the old ones.
        """
        names = dict(given)
        for tensor in graph.initializer:
            twin = TensorProto()
            twin.CopyFrom(tensor)
            twin.name = names[tensor.name] = self._prefix + tensor.name
            self.constants.append(twin)
        for node in graph.node:
            twin = onnx.NodeProto()
            twin.CopyFrom(node)
            twin.name = self._prefix + node.name
            names |= {name: self._prefix + name for name in node.output if name}
            twin.input[:] = [names.get(name, name) for name in node.input]
            twin.output[:] = [names.get(name, name) for name in node.output]
            self.nodes.append(twin)
        return names

    def constant(self, values: NDArray[Any]) -> str:
        """Store a tensor."""
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def add(self, one: str, other: str) -> str:
        """Add two tensors of one type."""
        return self.node("Add", [one, other])

    def maximum(self, one: str, other: str) -> str:
        """Give the larger of two int32, place by place."""
        return self.node("Max", [one, other])

    def equal(self, one: str, other: str) -> str:
        """Compare int32, place by place."""
        return self.node("Equal", [one, other])

    def less(self, one: str, other: str) -> str:
        """Tell where the one int32 is less than the other."""
        return self.node("Less", [one, other])

    def both(self, one: str, other: str) -> str:
        """Tell where both are true."""
        return self.node("And", [one, other])

    def select(self, condition: str, one: str, other: str) -> str:
        """Take from the one where the condition is true, else from the other."""
        return self.node("Where", [condition, one, other])

    def all_of_rows(self, given: str) -> str:
        """Tell, for each row of [rows, n], whether all of it is true."""
        least = self.node("ReduceMin", [self.whole(given)], axes=[1], keepdims=0)
        return self.node("Cast", [least], to=TensorProto.BOOL)

    def count_false(self, given: str) -> str:
        """Count what is false in [n]; int32 [1]."""
        return self.node("ReduceSum", [self.whole(self.node("Not", [given]))], keepdims=1)

    def gather(self, values: str, places: str) -> str:
        """Take from [n] at int32 places of any shape."""
        return self.node("Gather", [values, places], axis=0)

    def add_at(self, logits: str, places: str, values: str) -> str:
        """Add float32 values [n] to logits [1, V] in the columns int32 [n], which may repeat."""
        rows = [self.reshape(given, [1, -1]) for given in (places, values)]
        return self.node("ScatterElements", [logits, *rows], axis=1, reduction="add")

    def reshape(self, given: str, shape: Sequence[int]) -> str:
        """Give it another shape."""
        return self.node("Reshape", [given, self.constant(np.array(shape, np.int64))])

    def argmax(self, logits: str) -> str:
        """Give the column of the largest of [1, V], the first among equals; int32 [1]."""
        return self.whole(self.node("ArgMax", [logits], axis=1, keepdims=0))

    def log_probability(self, logits: str, token: str) -> str:
        """Give the log-softmax of logits [1, V] in the column int32 [1]; float32 [1]."""
        scores = self.node("LogSoftmax", [logits], axis=1)
        return self.reshape(self.node("Gather", [scores, token], axis=1), [-1])

    def whole(self, given: str) -> str:
        """Give it as int32."""
        return self.node("Cast", [given], to=TensorProto.INT32)
