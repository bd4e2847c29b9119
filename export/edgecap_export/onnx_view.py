"""Looking at ONNX models: their graphs as nodes and constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import helper, numpy_helper

from edgecap_export.errors import ExportError
from edgecap_export.graph_view import Constant, GraphView, Node
from edgecap_export.onnx_caption import CAPTION

__all__ = ["graph_view", "operators", "view"]

_FORBIDDEN = {"If", "Loop", "Scan", "LSTM", "GRU", "RNN"}
_STANDARD_DOMAINS = ("", "ai.onnx")
# ONNX Runtime's own operator is the only LSTM with weights in int8.
_MEANT = {
    "step": frozenset({"com.microsoft.MatMulNBits"}),
    "prefix": frozenset({"LSTM", "com.microsoft.DynamicQuantizeLSTM", "com.microsoft.MatMulNBits"}),
}
"""Operators out of the common that a kind of decoder is made with."""


def view(model: Any, branch: str) -> GraphView:
    """Give a branch of a merged model, "encode" or the decoder's kind, as nodes and constants."""
    outer = {tensor.name: _constant(tensor) for tensor in model.graph.initializer}
    node = next((node for node in model.graph.node if node.op_type == "If"), None)
    for attribute in node.attribute if node is not None else ():
        if attribute.g.name == branch:
            return graph_view(attribute.g, outer)
    raise ExportError(f"The written file has no branch {branch!r}; the conversion went wrong.")


def graph_view(graph: Any, outer: Mapping[str, Constant]) -> GraphView:
    """Give a graph as nodes and constants; outer: the constants of the graph around it."""
    constants = dict(outer)
    constants |= {tensor.name: _constant(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    constants[node.output[0]] = _constant(attribute.t)
    nodes = tuple(Node(node.op_type, tuple(node.input), tuple(node.output)) for node in graph.node)
    outputs = {output.name.rpartition("/")[2]: output.name for output in graph.output}
    return GraphView(nodes, constants, outputs)


def operators(model: Any, kind: str) -> tuple[list[str], list[str]]:
    """Give the kinds of all operators, branches included, and of those that may not be there.

    kind: that of the captioner's decoder.
    """
    found = list(_nodes(model.graph))
    own = _own(model)
    names = [
        node.op_type if node.domain in _STANDARD_DOMAINS else f"{node.domain}.{node.op_type}"
        for node in found
    ]
    forbidden = [
        name
        for name, node in zip(names, found, strict=True)
        if name not in _MEANT[kind]
        and (node.domain not in _STANDARD_DOMAINS or node.op_type in _FORBIDDEN)
        and not any(node is mine for mine in own)
    ]
    return names, forbidden


def _own(model: Any) -> list[Any]:
    """Give the nodes that edgecap branches and searches by.

    Any other is a loop or a condition that came out of a layer.
    """
    branches = [node for node in model.graph.node if node.op_type == "If"][:1]
    searches = [node for node in model.graph.node if node.op_type == "Loop"]
    return branches + [
        node for node in searches if any(body.name == CAPTION for body in _graphs(node))
    ]


def _graphs(node: Any) -> list[Any]:
    return [item.g for item in node.attribute if item.type == onnx.AttributeProto.GRAPH]


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for inner in _graphs(node):
            yield from _nodes(inner)


def _constant(tensor: Any) -> Constant:
    type_name = str(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    size = numpy_helper.to_array(tensor).nbytes
    return Constant(type_name, tuple(tensor.dims), size, tensor.name)
