"""Rewriting .tflite files through the flatbuffer object API.

What converter and quantizer leave is put right here: data outside the flatbuffer, operator
versions that are too low, names that two graphs share, the order of the graphs, row counts that
LiteRT.js refuses. A written file's answers are compared with Keras afterwards (`parity`).
`flatbuffer_view` looks at models.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecap_export.flatbuffer_view import TYPES, operator_name, signature

__all__ = [
    "drop_row_signatures",
    "name_apart",
    "operator_code",
    "put_first",
    "raise_versions",
    "read",
    "share_buffers",
    "write",
]

_ALIGNMENT = 16
_PER_CHANNEL_DYNAMIC = 12
_DYNAMIC = 3
_DYNAMIC_ASYMMETRIC = 9
_LAST_DEPRECATED_CODE = 127


def read(data: bytes | bytearray) -> Any:
    """Read a model as an object tree (`ModelT`), its tensors' data inside.

    The quantizer writes data behind the flatbuffer and refers to it by offset and size, which
    the object API would lose.
    """
    model = schema.ModelT.InitFromPackedBuf(bytes(data), 0)
    for buffer in model.buffers:
        # 0 and 1 mean "inside"; 1 is the value that marks a place for an offset not yet known.
        if buffer.offset > 1:
            inside = np.frombuffer(data, np.uint8, count=buffer.size, offset=buffer.offset)
            buffer.data = inside.copy()
        buffer.offset = buffer.size = 0
    return model


def write(model: Any) -> bytes:
    """Write a model with the data of its tensors inside, each aligned to 16 bytes."""
    builder = _AlignedBuilder(
        1 << 20 | sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers)
    )
    builder.Finish(_packing_once(model).Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns byte vectors, which Python's object API doesn't although the schema forces it.

    Kernels read float weights in place, and some CPUs fault on floats that lie askew.
    """

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        if elemSize == 1:
            alignment = _ALIGNMENT
        return super().StartVector(elemSize, numElems, alignment)


class _PackedOnce:
    """A table of several tensors, written once: offsets may meet."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._offset: Any = None

    def Pack(self, builder: Any) -> Any:  # noqa: N802
        if self._offset is None:
            self._offset = self._table.Pack(builder)
        return self._offset


def _packing_once(model: Any) -> Any:
    """Give a copy that writes scales once where copies of a tensor have the same ones."""
    tables: dict[int, _PackedOnce] = {}
    shallow = copy.copy(model)
    shallow.subgraphs = []
    for graph in model.subgraphs:
        twin = copy.copy(graph)
        twin.tensors = [copy.copy(tensor) for tensor in graph.tensors]
        for tensor in twin.tensors:
            table = tensor.quantization
            if table is not None:
                tensor.quantization = tables.setdefault(id(table), _PackedOnce(table))
        shallow.subgraphs.append(twin)
    return shallow


def name_apart(model: Any) -> None:
    """Give every tensor a name of its own: its graph's, a slash, and what it was.

    A graph is named by its signature, or the loop whose part it is. Inputs and outputs take the
    names that the signature has for them. The quantizer finds operators and tensors by name,
    over all graphs of a file.
    """
    signatures = {item.subgraphIndex: item for item in model.signatureDefs}
    taken: set[str] = set()
    for index, graph in enumerate(model.subgraphs):
        called = signatures.get(index)
        prefix = (graph.name if called is None else called.signatureKey).decode()
        ends = () if called is None else (*called.inputs, *called.outputs)
        public = {item.tensorIndex: item.name.decode() for item in ends}
        taken.update(f"{prefix}/{name}" for name in public.values())
        for place, tensor in enumerate(graph.tensors):
            name = f"{prefix}/{public.get(place) or tensor.name.decode()}"
            if place not in public and name in taken:
                name = f"{name}#{place}"
            taken.add(name)
            tensor.name = name.encode()


def put_first(model: Any, signature_key: str) -> None:
    """Put the graph of a signature first, where plain `invoke` of an interpreter runs it."""
    first = signature(model, signature_key).subgraphIndex
    order = [first, *(place for place in range(len(model.subgraphs)) if place != first)]
    moved = {old: new for new, old in enumerate(order)}
    model.subgraphs = [model.subgraphs[old] for old in order]
    for item in model.signatureDefs:
        item.subgraphIndex = moved[item.subgraphIndex]
    for options, name in _graph_references(model):
        # Negative means "no graph".
        setattr(options, name, moved.get(getattr(options, name), getattr(options, name)))


def drop_row_signatures(model: Any) -> None:
    """Remove the note that a row count is open, and keep that of a signature's open length.

    LiteRT.js refuses a graph with open row counts; Python's interpreter resizes without the note.
    The length of a prefix is another matter: one row of any length runs in LiteRT.js, but only
    where its input says that the length is open.
    """
    called = {item.subgraphIndex for item in model.signatureDefs}
    for index, graph in enumerate(model.subgraphs):
        taken = {int(place) for place in graph.inputs} if index in called else set()
        for place, tensor in enumerate(graph.tensors):
            sides = () if tensor.shapeSignature is None else tensor.shapeSignature[1:]
            open_length = place in taken and any(side < 0 for side in sides)
            tensor.shapeSignature = [1, *map(int, sides)] if open_length else None


def raise_versions(model: Any) -> None:
    """Raise the version of FULLY_CONNECTED operators with integer weights and float activations.

    The quantizer leaves the float operator's version. An interpreter that is too old for
    scales per channel (tflite-runtime 2.14) then answers zeros; with version 12 it refuses.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator_name(model, operator) != "FULLY_CONNECTED":
                continue
            code = model.operatorCodes[operator.opcodeIndex]
            activations, weights = (graph.tensors[place] for place in operator.inputs[:2])
            pair = TYPES[activations.type], TYPES[weights.type]
            if pair not in (("float32", "int8"), ("float32", "int4")):
                continue
            scales = weights.quantization.scale
            if scales is not None and len(scales) > 1:
                least = _PER_CHANNEL_DYNAMIC
            elif operator.builtinOptions.asymmetricQuantizeInputs:
                least = _DYNAMIC_ASYMMETRIC
            else:
                least = _DYNAMIC
            operator.opcodeIndex = operator_code(model, code.builtinCode, max(least, code.version))


def share_buffers(model: Any) -> None:
    """Let tensors with the same data share it, and drop data that no tensor has.

    The LSTM's kernel stands in both graphs.
    """
    first: dict[bytes, int] = {}
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {item.buffer for item in model.metadata or ()}
    for place, buffer in enumerate(model.buffers):
        if place not in used:
            buffer.data = None
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data):
                continue
            digest = hashlib.sha256(bytes(data)).digest()
            kept = first.setdefault(digest, tensor.buffer)
            if kept != tensor.buffer:
                model.buffers[tensor.buffer].data = None
                tensor.buffer = kept


def operator_code(model: Any, builtin: int, version: int) -> int:
    """Give the place of an operator code of this version; add it if need be.

    Operators of the same kind keep the version that they had.
    """
    for place, other in enumerate(model.operatorCodes):
        if (other.builtinCode, other.version) == (builtin, version):
            return place
    model.operatorCodes.append(
        schema.OperatorCodeT(
            deprecatedBuiltinCode=min(builtin, _LAST_DEPRECATED_CODE),
            builtinCode=builtin,
            version=version,
        )
    )
    return len(model.operatorCodes) - 1


def _graph_references(model: Any) -> Iterator[tuple[Any, str]]:
    """Give every operator option that holds the place of a graph, as object and attribute."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            for options in (operator.builtinOptions, operator.builtinOptions2):
                for name in vars(options) if options is not None else ():
                    if name == "subgraph" or name.endswith("SubgraphIndex"):
                        yield options, name
