"""Looking at .tflite models: their graphs as nodes and constants, loops opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgecap_export.errors import ExportError
from edgecap_export.graph_view import Constant, GraphView, Node

__all__ = [
    "CAPTION",
    "GREEDY",
    "TYPES",
    "operator_name",
    "operators",
    "results",
    "signature",
    "view",
]

_OPS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
TYPES = {
    code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)
}
"""Names of the tensors' types, by their codes."""

CAPTION = "caption"
"""Key of the signature that captions in one call."""
GREEDY = "greedy"
"""Key of the signature that says all words from the first state on."""

# Loops, branches and variables: a step that is built from cells needs none, some delegates and
# browsers run none, and their presence means that a layer was traced where a cell belongs.
_FORBIDDEN = {
    "ASSIGN_VARIABLE",
    "CALL",
    "CALL_ONCE",
    "IF",
    "READ_VARIABLE",
    "VAR_HANDLE",
    "WHILE",
}
_MEANT = {"step": frozenset(), "prefix": frozenset({"WHILE"})}
"""Those among them that a kind of decoder is made with."""
_SEARCH_MEANT = {"WHILE"}
"""Those that the graphs of `GREEDY` and `CAPTION` are made with, their loop's own graphs not."""


def view(model: Any, signature_key: str) -> GraphView:
    """Give the graph of a signature as nodes and constants.

    A loop's body stands before the WHILE that runs it, its inputs being those of the WHILE, which
    depends on the body's outputs.
    """
    constants: dict[str, Constant] = {}
    called = signature(model, signature_key)
    index = called.subgraphIndex
    nodes = tuple(node for node, _ in _walk(model, index, None, constants))
    outputs = {item.name.decode(): _name(index, item.tensorIndex) for item in called.outputs}
    return GraphView(nodes, constants, outputs)


def results(model: Any, signature_key: str) -> tuple[str, ...]:
    """Give, for each node of a view, the name of its (first) result in the file."""
    index = signature(model, signature_key).subgraphIndex
    return tuple(result for _, result in _walk(model, index, None, {}))


def operators(model: Any, kind: str) -> tuple[list[str], list[str]]:
    """Give the kinds of all operators in the file, and of those that may not be there.

    kind: that of the captioner's decoder.
    """
    searches = {
        item.subgraphIndex
        for item in model.signatureDefs
        if item.signatureKey.decode() in (GREEDY, CAPTION)
    }
    names: list[str] = []
    forbidden: list[str] = []
    for place, graph in enumerate(model.subgraphs):
        found = [operator_name(model, operator) for operator in graph.operators]
        meant = _SEARCH_MEANT if place in searches else _MEANT[kind]
        names += found
        forbidden += [op for op in found if op in _FORBIDDEN - meant or op.startswith("custom ")]
    return names, forbidden


def signature(model: Any, key: str) -> Any:
    """Give a signature by its key; raises `ExportError` where it is missing."""
    for item in model.signatureDefs or ():
        if item.signatureKey.decode() == key:
            return item
    raise ExportError(f"The written file has no signature {key!r}; the conversion went wrong.")


def operator_name(model: Any, operator: Any) -> str:
    """Give an operator's kind, "custom <name>" for one that is not built in."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.customCode:
        return f"custom {code.customCode.decode()}"
    return str(_OPS.get(code.builtinCode, f"custom {code.builtinCode}"))


def _walk(
    model: Any, index: int, given: Sequence[str] | None, constants: dict[str, Constant]
) -> Iterator[tuple[Node, str]]:
    """Yield a graph's operators, each with its result's name in the file; note the constants.

    given: names of what the graph gets, for that of a loop.
    """
    graph = model.subgraphs[index]
    renamed = {} if given is None else dict(zip(graph.inputs, given, strict=True))

    def names(places: Any) -> tuple[str, ...]:
        return tuple(renamed.get(place) or _name(index, place) for place in places)

    for place, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
            constants[_name(index, place)] = Constant(
                TYPES[tensor.type], shape, len(data), str(tensor.buffer)
            )
    for operator in graph.operators:
        op, inputs = operator_name(model, operator), names(operator.inputs)
        inner: list[str] = []
        if op == "WHILE":
            options = operator.builtinOptions
            for part in (options.condSubgraphIndex, options.bodySubgraphIndex):
                yield from _walk(model, part, inputs, constants)
                inner += (_name(part, place) for place in model.subgraphs[part].outputs)
        node = Node(op, (*inputs, *inner), names(operator.outputs))
        yield node, graph.tensors[operator.outputs[0]].name.decode()


def _name(index: int, place: int) -> str:
    return f"{index}:{place}"
