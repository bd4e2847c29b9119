"""An encoder in int8 with calibrated ranges, as ONNX: convolutions between QuantizeLinear and
DequantizeLinear, which ONNX Runtime fuses.

Activations are unsigned, weights signed. On x86 ONNX Runtime fuses nothing else: it makes signed
activations unsigned itself, but only where one operator reads them, so that the first convolutions
of InceptionV3's branches stayed float (41 of 94; 33 ms on 2 threads where the float encoder took
36). Unsigned weights are slow (MobileNet 1.0: 16.1 ms against 6.8, 14.7 in float).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgecap_export import onnx_view
from edgecap_export.blocks import Block
from edgecap_export.graph_view import encoder_parts, from_first_convolution
from edgecap_export.onnx_layers import (
    Convolution,
    block_owners,
    convolutions,
    initializers,
    name_nodes,
    replace_tensor,
    watch,
)
from edgecap_export.onnx_overflow import prevent_overflow
from edgecap_export.quiet import quiet
from edgecap_export.ranges import RangeTally
from edgecap_export.recipes import Recipe
from edgecap_export.rounding import Moments

__all__ = ["quantize_encoder"]

_CONVOLUTION = "Conv"
_OPSET_DOMAINS = ("", "com.microsoft")


def quantize_encoder(
    encode: Any, blocks: tuple[Block, ...], recipe: Recipe, pixels: NDArray[np.uint8]
) -> Any:
    """Give the `encode` model with its encoder in int8; what makes the first state stays float.

    pixels: uint8 [images, H, W, 3] to calibrate on.
    """
    encoder, rest = _taken_apart(encode)
    with tempfile.TemporaryDirectory() as folder, quiet():
        given, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("a", "b", "c"))
        onnx.save(encoder, given)
        # Batch normalisation and scales become part of the convolutions.
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        whole = onnx.load(prepared)
        names = _quantized_nodes(whole.graph, blocks, recipe)
        ranges, means = _observed(whole, names, recipe, pixels)
        quantize_static(
            prepared,
            made,
            _OneImage(pixels),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=names,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "TensorQuantOverrides": {
                    name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
                    for name, (low, high) in ranges.items()
                }
            },
        )
        quantized = onnx.load(made)
    if recipe.processor == "any":
        prevent_overflow(whole.graph, quantized.graph)
    if recipe.bias_correction:
        _correct_biases(whole.graph, quantized.graph, means)
    _shield(quantized.graph)
    return _joined(encode, quantized, rest)


def _taken_apart(encode: Any) -> tuple[Any, list[Any]]:
    """Give the encoder as a model of its own, and the nodes behind it."""
    parts = encoder_parts(onnx_view.graph_view(encode.graph, {}))
    nodes = list(zip(encode.graph.node, parts, strict=True))
    inside = [node for node, part in nodes if part == "encoder"]
    behind = [node for node, part in nodes if part != "encoder"]
    made = {name for node in inside for name in node.output}
    crossing = sorted({name for node in behind for name in node.input if name in made})
    read = {name for node in inside for name in node.input}
    graph = helper.make_graph(
        inside,
        "encoder",
        list(encode.graph.input),
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in crossing],
        initializer=[tensor for tensor in encode.graph.initializer if tensor.name in read],
    )
    model = helper.make_model(
        graph, opset_imports=list(encode.opset_import), ir_version=encode.ir_version
    )
    return model, behind


def _joined(encode: Any, encoder: Any, behind: list[Any]) -> Any:
    """Put the quantized encoder in the place of the float one."""
    read = {name for node in behind for name in node.input}
    stored = {tensor.name for tensor in encoder.graph.initializer}
    graph = helper.make_graph(
        [*encoder.graph.node, *behind],
        encode.graph.name,
        list(encode.graph.input),
        list(encode.graph.output),
        initializer=[
            *encoder.graph.initializer,
            *(
                tensor
                for tensor in encode.graph.initializer
                if tensor.name in read and tensor.name not in stored
            ),
        ],
    )
    opsets = [item for item in encoder.opset_import if item.domain in _OPSET_DOMAINS]
    return helper.make_model(graph, opset_imports=opsets, ir_version=encode.ir_version)


def _quantized_nodes(graph: Any, blocks: tuple[Block, ...], recipe: Recipe) -> list[str]:
    """Name the nodes to quantize: convolutions and what depends on one, but for kept blocks."""
    name_nodes(graph)
    owners = block_owners(graph, blocks)
    deep = from_first_convolution(onnx_view.graph_view(graph, {}))
    return [
        node.name
        for place, (node, owner) in enumerate(zip(graph.node, owners, strict=True))
        if place in deep and (owner is None or owner.name not in recipe.keep_float)
    ]


def _shield(graph: Any) -> None:
    """Keep the float convolutions behind a DequantizeLinear as they are, in place.

    ONNX Runtime (WeightBiasQuantization) would take such a convolution for one whose weights were
    forgotten, and quantize them by one scale for all outputs. A maximum with the least number that
    its input has changes nothing and hides where that comes from.
    """
    stored = initializers(graph)
    sources = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    nodes = []
    for node in graph.node:
        source = sources.get(node.input[0]) if node.op_type == _CONVOLUTION else None
        if source is not None and node.input[1] in stored:
            zero, scale = (_array(stored, name) for name in (source.input[2], source.input[1]))
            least = f"{node.name}/least"
            value = np.array(-zero * scale, np.float32)
            graph.initializer.append(numpy_helper.from_array(value, least))
            shielded = f"{node.name}/shielded"
            nodes.append(helper.make_node("Max", [node.input[0], least], [shielded], name=shielded))
            node.input[0] = shielded
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _observed(
    model: Any, names: list[str], recipe: Recipe, pixels: NDArray[np.uint8]
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[Convolution, NDArray[np.float64]]]]:
    """Run the float encoder over all pictures.

    Returns the range of each activation of the named nodes; and by the name of its weights each of
    their convolutions, with the mean of what its kernel meets, [height, width, channels].
    """
    stored = initializers(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    # A map that is laid out in a row goes by the batch's size: whole numbers, which have no range.
    whole = {item.name for item in inferred if item.type.tensor_type.elem_type != TensorProto.FLOAT}
    chosen = set(names)
    nodes = [node for node in model.graph.node if node.name in chosen]
    activations = {
        name
        for node in nodes
        for name in (*node.input, *node.output)
        if name and name not in stored and name not in whole
    }
    found = [item for item in convolutions(model.graph) if item.name in chosen]
    kernels = {item.weights: tuple(stored[item.weights].dims)[2:] for item in found}
    tallies = {name: RangeTally(recipe.ranges) for name in activations}
    moments = {item.weights: Moments() for item in found}
    random = np.random.default_rng(0)
    calls = ({"image": image[None]} for image in pixels)
    for values in watch(model, sorted(activations), calls):
        for name, tally in tallies.items():
            tally.add(values[name])
        for item in found:
            patches = item.patches(values[item.given][0], kernels[item.weights], random)
            moments[item.weights].add(patches.reshape(len(patches), -1), second=False)
    ranges = {name: tally.range() for name, tally in tallies.items()}
    means = {
        item.weights: (item, moments[item.weights].mean.reshape(*kernels[item.weights], -1))
        for item in found
    }
    return ranges, means


def _correct_biases(
    before: Any, after: Any, means: Mapping[str, tuple[Convolution, NDArray[np.float64]]]
) -> None:
    """Take from each bias the mean of what rounding the weights changed, in place."""
    float_values, values = initializers(before), initializers(after)
    sources = {node.output[0]: node for node in after.node if node.op_type == "DequantizeLinear"}
    for node in after.node:
        if node.op_type != _CONVOLUTION or len(node.input) < 3:
            continue
        weights, bias = (sources.get(node.input[place]) for place in (1, 2))
        if weights is None or bias is None:
            continue
        stored, steps = (_array(values, name) for name in weights.input[:2])
        known = means.get(weights.input[0].removesuffix("_quantized"))
        if known is None:
            continue
        item, mean = known
        exact = _array(float_values, item.weights)
        change = stored * steps.reshape(-1, 1, 1, 1) - exact
        scales = _array(values, bias.input[1])
        old = _array(float_values, item.bias)
        whole = np.rint((old - item.shift(change, mean)) / scales)
        replace_tensor(after, bias.input[0], whole.astype(np.int32))


def _array(tensors: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    return np.asarray(numpy_helper.to_array(tensors[name]), np.float64)


class _OneImage(CalibrationDataReader):  # type: ignore[misc]
    """What ONNX Runtime asks for although all ranges are given."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._images: Iterator[NDArray[np.uint8]] = iter(pixels[:1])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}
