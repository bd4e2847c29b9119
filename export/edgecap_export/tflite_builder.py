"""Building graphs of .tflite models: new operators, and copies of operators that are there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecap_export import flatbuffer, flatbuffer_view

__all__ = ["GraphBuilder", "Tensor", "part_results"]

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "uint8": schema.TensorType.UINT8,
    "bool": schema.TensorType.BOOL,
}
_ABSENT = -1


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph that is being built."""

    place: int
    """Its place among the graph's tensors."""
    shape: tuple[int, ...]
    """Its shape."""
    type: str
    """Its element type."""


class GraphBuilder:
    """A graph of a model; among what it builds are the `greedy.Operations`."""

    def __init__(self, model: Any, name: str, place: int | None = None) -> None:
        """Go on with the graph at a place; without one, put an empty graph behind the others."""
        self._model = model
        self._name = name
        if place is None:
            place = len(model.subgraphs)
            model.subgraphs.append(
                schema.SubGraphT(
                    name=name.encode(), tensors=[], operators=[], inputs=[], outputs=[]
                )
            )
        self.place = place
        self._graph = model.subgraphs[place]

    def tensor(self, shape: Sequence[int], kind: str, name: str = "", buffer: int = 0) -> Tensor:
        """Add a tensor; one without a name is called by its place."""
        place = len(self._graph.tensors)
        self._graph.tensors.append(
            schema.TensorT(
                name=f"{self._name}/{name or place}".encode(),
                shape=np.array(shape, np.int32),
                type=_TYPES[kind],
                buffer=buffer,
                quantization=schema.QuantizationParametersT(),
                hasRank=True,
            )
        )
        return Tensor(place, tuple(shape), kind)

    def limits(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Say what the graph takes and gives."""
        self._graph.inputs = _places(inputs)
        self._graph.outputs = _places(outputs)

    def operator(
        self,
        name: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        options: str = "",
        **values: Any,
    ) -> None:
        """Add a built-in operator; options: name of its table of options, if it has one."""
        code = getattr(schema.BuiltinOperator, name)
        operator = schema.OperatorT(
            opcodeIndex=flatbuffer.operator_code(self._model, code, 1),
            inputs=_places(inputs),
            outputs=_places(outputs),
        )
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")(**values)
        self._graph.operators.append(operator)

    def copied(
        self, signature_key: str, given: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> list[Tensor]:
        """Copy the operators of a signature's graph; its weights stay in their buffers.

        given: tensors in place of its inputs; wanted: names of float32 outputs, which are given
        back.
        """
        called = flatbuffer_view.signature(self._model, signature_key)
        original = self._model.subgraphs[called.subgraphIndex]
        places = {item.tensorIndex: given[item.name.decode()].place for item in called.inputs}
        places[_ABSENT] = _ABSENT
        for place, tensor in enumerate(original.tensors):
            if place not in places:
                places[place] = len(self._graph.tensors)
                twin = copy.copy(tensor)
                # Short: the converter's names weigh more than the operators.
                twin.name = f"{self._name}/{places[place]}".encode()
                self._graph.tensors.append(twin)
        for operator in original.operators:
            twin = copy.copy(operator)
            for ends in ("inputs", "outputs", "intermediates"):
                if getattr(operator, ends) is not None:
                    moved = [places[place] for place in getattr(operator, ends)]
                    setattr(twin, ends, np.array(moved, np.int32))
            self._graph.operators.append(twin)
        results = {item.name.decode(): item.tensorIndex for item in called.outputs}
        return [
            Tensor(places[results[name]], tuple(original.tensors[results[name]].shape), "float32")
            for name in wanted
        ]

    def constant(self, values: NDArray[Any]) -> Tensor:
        """Store a tensor."""
        buffer = len(self._model.buffers)
        data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(schema.BufferT(data=data))
        return self.tensor(values.shape, values.dtype.name, buffer=buffer)

    def add(self, one: Tensor, other: Tensor) -> Tensor:
        """Add two tensors of one type."""
        return self._broadcast("ADD", (one, other), one.type, "AddOptions")

    def maximum(self, one: Tensor, other: Tensor) -> Tensor:
        """Give the larger of two int32, place by place."""
        return self._broadcast("MAXIMUM", (one, other), one.type, "MaximumMinimumOptions")

    def equal(self, one: Tensor, other: Tensor) -> Tensor:
        """Compare int32, place by place."""
        return self._broadcast("EQUAL", (one, other), "bool", "EqualOptions")

    def less(self, one: Tensor, other: Tensor) -> Tensor:
        """Tell where the one int32 is less than the other."""
        return self._broadcast("LESS", (one, other), "bool", "LessOptions")

    def both(self, one: Tensor, other: Tensor) -> Tensor:
        """Tell where both are true."""
        return self._broadcast("LOGICAL_AND", (one, other), "bool", "LogicalAndOptions")

    def select(self, condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Take from the one where the condition is true, else from the other."""
        return self._broadcast("SELECT_V2", (condition, one, other), one.type, "SelectV2Options")

    def all_of_rows(self, given: Tensor) -> Tensor:
        """Tell, for each row of [rows, n], whether all of it is true."""
        return self._reduced("REDUCE_ALL", given, 1, given.shape[:1])

    def count_false(self, given: Tensor) -> Tensor:
        """Count what is false in [n]; int32 [1]."""
        false = self._broadcast("LOGICAL_NOT", (given,), "bool", "LogicalNotOptions")
        types = {"inDataType": _TYPES["bool"], "outDataType": _TYPES["int32"]}
        whole = self._broadcast("CAST", (false,), "int32", "CastOptions", **types)
        return self._reduced("SUM", whole, 0, (1,))

    def gather(self, values: Tensor, places: Tensor) -> Tensor:
        """Take from [n] at int32 places of any shape."""
        result = self.tensor(places.shape, values.type)
        self.operator("GATHER", (values, places), (result,), "GatherOptions", axis=0)
        return result

    def reshape(self, given: Tensor, shape: Sequence[int], name: str = "") -> Tensor:
        """Give it another shape."""
        result = self.tensor(shape, given.type, name)
        wanted = self.constant(np.array(shape, np.int32))
        self.operator("RESHAPE", (given, wanted), (result,), "ReshapeOptions", newShape=shape)
        return result

    def add_at(self, logits: Tensor, places: Tensor, values: Tensor) -> Tensor:
        """Add float32 values [n] to logits [1, V] in the columns int32 [n], which may repeat."""
        width = logits.shape[1]
        columns = self.reshape(places, (*places.shape, 1))
        # Values for one place are added up.
        spread = self.tensor((width,), "float32")
        size = self.constant(np.array([width], np.int32))
        self.operator("SCATTER_ND", (columns, values, size), (spread,), "ScatterNdOptions")
        return self.add(logits, spread)

    def argmax(self, logits: Tensor) -> Tensor:
        """Give the column of the largest of [1, V], the first among equals; int32 [1]."""
        result = self.tensor(logits.shape[:1], "int32")
        axis = self.constant(np.array([1], np.int32))
        kind = _TYPES["int32"]
        self.operator("ARG_MAX", (logits, axis), (result,), "ArgMaxOptions", outputType=kind)
        return result

    def log_probability(self, logits: Tensor, token: Tensor) -> Tensor:
        """Give the log-softmax of logits [1, V] in the column int32 [1]; float32 [1].

        By SOFTMAX, which LiteRT has vectorised and LOG_SOFTMAX not: where a probability is less
        than a float32 can be it gives minus infinity.
        """
        shares = self.tensor(logits.shape, "float32")
        self.operator("SOFTMAX", (logits,), (shares,), "SoftmaxOptions", beta=1.0)
        share = self.tensor((1, *token.shape), "float32")
        self.operator("GATHER", (shares, token), (share,), "GatherOptions", axis=1)
        result = self.tensor(token.shape, "float32")
        self.operator("LOG", (self.reshape(share, token.shape),), (result,))
        return result

    def _broadcast(
        self, name: str, inputs: Sequence[Tensor], kind: str, options: str, **values: Any
    ) -> Tensor:
        result = self.tensor(np.broadcast_shapes(*(item.shape for item in inputs)), kind)
        self.operator(name, inputs, (result,), options, **values)
        return result

    def _reduced(self, name: str, given: Tensor, axis: int, shape: tuple[int, ...]) -> Tensor:
        result = self.tensor(shape, given.type)
        axes = self.constant(np.array([axis], np.int32))
        keep = len(shape) == len(given.shape)
        self.operator(name, (given, axes), (result,), "ReducerOptions", keepDims=keep)
        return result


def part_results(model: Any, signature_key: str) -> None:
    """Copy what a signature gives as it was given, such as a state that no word changes.

    LiteRT.js lends memory to every input and every result; a tensor that is both computes from the
    result's, in which nothing was written. RESHAPE is the operator that copies.
    """
    called = flatbuffer_view.signature(model, signature_key)
    builder = GraphBuilder(model, signature_key, called.subgraphIndex)
    graph = model.subgraphs[called.subgraphIndex]
    given = {item.tensorIndex for item in called.inputs}
    for item in called.outputs:
        if item.tensorIndex not in given:
            continue
        shape = tuple(graph.tensors[item.tensorIndex].shape)
        copied = builder.tensor(shape, "float32")
        # The rows are open.
        sides = np.array([-1, *shape[1:]], np.int32)
        ends = (Tensor(item.tensorIndex, shape, "float32"), builder.constant(sides))
        builder.operator("RESHAPE", ends, (copied,), "ReshapeOptions", newShape=sides)
        graph.outputs = np.where(graph.outputs == item.tensorIndex, copied.place, graph.outputs)
        item.tensorIndex = copied.place


def _places(tensors: Sequence[Tensor]) -> NDArray[np.int32]:
    return np.array([tensor.place for tensor in tensors], np.int32)
