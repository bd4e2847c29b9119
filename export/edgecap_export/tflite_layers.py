"""The layers with weights in a .tflite graph, and what they are given: ranges and moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgecap_export import flatbuffer, flatbuffer_view
from edgecap_export.ranges import RangeTally
from edgecap_export.rounding import Moments, sample_patches

__all__ = ["WEIGHTED", "Layer", "Observation", "layers_of", "observe", "tensor_data"]

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators with a weight matrix."""
_NUMPY = {"float32": np.float32, "int8": np.int8, "int32": np.int32}


@dataclass(frozen=True)
class Layer:
    """An operator with a weight matrix."""

    op: str
    """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED."""
    result: str
    """Name of its result."""
    inputs: int
    """Place of what it is given among its graph's tensors."""
    weights: str
    """Name of its weights."""
    weights_count: int
    """How many they are."""
    bias: str | None
    """Name of its bias, None where it has none."""
    kernel: tuple[int, int]
    """Height and width of a convolution's kernel, (1, 1) for others."""
    stride: tuple[int, int]
    """Its strides."""
    same: bool
    """Whether a convolution pads its edges."""
    dilated: bool
    """Whether a convolution leaves pixels out."""

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a kernel of its own."""
        return self.op == "DEPTHWISE_CONV_2D"

    @property
    def pointwise(self) -> bool:
        """Whether it is a convolution of one pixel."""
        return self.op == "CONV_2D" and self.kernel == (1, 1)

    @property
    def linear(self) -> bool:
        """Whether it is a convolution of a row or a column of pixels, or of one."""
        return self.op == "CONV_2D" and min(self.kernel) == 1

    def matrix(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Bring its weights, as they are stored, into the form [outputs, inputs].

        A depthwise layer's inputs are the places of its kernel.
        """
        wide = weights.astype(np.float64)
        if self.depthwise:
            return wide.reshape(-1, wide.shape[-1]).T
        return wide.reshape(len(wide), -1)

    def stored(
        self, matrix: NDArray[np.float64], shape: tuple[int, ...], kind: type
    ) -> NDArray[Any]:
        """Undo `matrix`."""
        flat = matrix.T if self.depthwise else matrix
        return np.ascontiguousarray(flat.reshape(shape)).astype(kind)

    def vectors(
        self, given: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """Give some of the vectors that its matrix is multiplied with, [n, inputs].

        Of a depthwise layer, [n, places of the kernel * channels].
        """
        if self.op == "FULLY_CONNECTED":
            return given.reshape(-1, given.shape[-1])
        found = [
            sample_patches(image, self.kernel, self.stride, self.same, random) for image in given
        ]
        patches = np.concatenate(found)
        return patches.reshape(len(patches), -1)


@dataclass(frozen=True)
class Observation:
    """What was seen while a graph ran."""

    ranges: Mapping[str, tuple[float, float]]
    """Smallest and largest value of each activation, by name, as the recipe takes them."""
    moments: Mapping[str, Moments]
    """Of what the layers were given, by the names of their results."""


def layers_of(model: Any, signature_key: str) -> list[Layer]:
    """List the layers of a signature's graph; those inside loops are left out."""
    graph = model.subgraphs[flatbuffer_view.signature(model, signature_key).subgraphIndex]
    found = []
    for operator in graph.operators:
        op = flatbuffer_view.operator_name(model, operator)
        if op not in WEIGHTED:
            continue
        given, weights, *rest = operator.inputs
        tensor = graph.tensors[weights]
        if not _is_stored(model, tensor):
            continue
        bias = rest[0] if rest and rest[0] >= 0 else None
        options = operator.builtinOptions
        spatial = op != "FULLY_CONNECTED"
        found.append(
            Layer(
                op=op,
                result=graph.tensors[operator.outputs[0]].name.decode(),
                inputs=int(given),
                weights=tensor.name.decode(),
                weights_count=int(np.prod(tensor.shape)),
                bias=None if bias is None else graph.tensors[bias].name.decode(),
                kernel=(int(tensor.shape[1]), int(tensor.shape[2])) if spatial else (1, 1),
                stride=(options.strideH, options.strideW) if spatial else (1, 1),
                same=spatial and options.padding == schema.Padding.SAME,
                dilated=spatial
                and (options.dilationHFactor, options.dilationWFactor) not in ((1, 1), (0, 0)),
            )
        )
    return found


def observe(
    model: Any,
    signature_key: str,
    calls: Iterable[Mapping[str, NDArray[Any]]],
    *,
    ranges: str | None,
    means: Iterable[Layer] = (),
    seconds: Iterable[Layer] = (),
) -> Observation:
    """Run a graph and look at its tensors.

    Args:
        model: the float model.
        signature_key: the graph's signature.
        calls: what to give it, by the names of its inputs.
        ranges: how ranges are taken, one of `recipes.RANGES`; None for no ranges.
        means: layers of which the mean of what they are given is wanted.
        seconds: layers of which second moments are wanted as well.
    """
    index = flatbuffer_view.signature(model, signature_key).subgraphIndex
    graph = model.subgraphs[index]
    # Without delegates, which keep what is inside to themselves.
    interpreter = Interpreter(
        model_content=flatbuffer.write(model),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=2,
    )
    runner = interpreter.get_signature_runner(signature_key)
    activations = {
        place: tensor.name.decode()
        for place, tensor in enumerate(graph.tensors)
        if flatbuffer_view.TYPES[tensor.type] == "float32" and not _is_stored(model, tensor)
    }
    second = {layer.result for layer in seconds}
    looked_at = {layer.result: layer for layer in (*means, *seconds) if not layer.dilated}
    moments = {result: Moments() for result in looked_at}
    tallies = {name: RangeTally(ranges) for name in activations.values()} if ranges else {}
    random = np.random.default_rng(0)
    for call in calls:
        runner(**call)
        values: dict[int, Any] = {}

        def value(place: int, values: dict[int, Any] = values) -> NDArray[np.float32]:
            if place not in values:
                values[place] = interpreter.get_tensor(place, index)
            return np.asarray(values[place])

        for place, name in activations.items():
            if name in tallies:
                tallies[name].add(value(place))
        for result, layer in looked_at.items():
            vectors = layer.vectors(value(layer.inputs), random)
            moments[result].add(vectors, second=result in second and not layer.depthwise)
    return Observation({name: tally.range() for name, tally in tallies.items()}, moments)


def tensor_data(model: Any, tensor: Any) -> NDArray[Any]:
    """Give a stored tensor's numbers, in its shape."""
    kind = _NUMPY[flatbuffer_view.TYPES[tensor.type]]
    return np.asarray(model.buffers[tensor.buffer].data).view(kind).reshape(tensor.shape)


def _is_stored(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
