"""Quantizing a float .tflite model by a recipe, part by part.

LiteRT's quantizer decides how operators and tensors of each type meet. What it rounds to nearest
is bettered afterwards, where the calibration photographs were looked at: 4-bit weights are rounded
anew, and biases take back the mean of what rounding changed. Each treatment is one entry in
`_CONFIGURE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager
from numpy.typing import NDArray

from edgecap_export import flatbuffer, flatbuffer_view
from edgecap_export.blocks import BlockFinder
from edgecap_export.calibration import Samples
from edgecap_export.graph_view import GraphView, encoder_parts, step_parts
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.rounding import best_scales, round_by_moments, rounding_shift
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.tflite_layers import Layer, Observation, layers_of, observe, tensor_data

__all__ = ["STATIC", "TREATED", "quantize"]

_CHANNELS = qtyping.QuantGranularity.CHANNELWISE
_TENSOR = qtyping.QuantGranularity.TENSORWISE
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_LEAST_HALVED = 10_000
"""Weights from which on a convolution is halved: small ones save nothing, and some of them,
depthwise ones at an encoder's start, are those that rounding hurts most."""
_FLOAT16 = schema.TensorType.FLOAT16


@dataclass(frozen=True)
class _Operator:
    """An operator that a recipe changes."""

    op: str
    result: str
    layer: Layer | None

    @property
    def regex(self) -> str:
        # The quantizer's name for an operator is that of its results, a semicolon each.
        return f"^{re.escape(self.result)};?$"

    @property
    def name(self) -> Any:
        return getattr(qtyping.TFLOperationName, self.op, None)


def _dynamic(bits: int, granularity: Any) -> Callable[[RecipeManager, _Operator], None]:
    def configure(manager: RecipeManager, operator: _Operator) -> None:
        if operator.op in _WEIGHTED:
            manager.add_dynamic_config(
                operator.regex, operator.name, num_bits=bits, granularity=granularity
            )

    return configure


def _static(activations: int, pointwise: int = 8) -> Callable[[RecipeManager, _Operator], None]:
    def configure(manager: RecipeManager, operator: _Operator) -> None:
        if operator.name is None:
            return
        narrow = operator.layer is not None and operator.layer.pointwise
        try:
            manager.add_static_config(
                operator.regex,
                operator.name,
                activation_num_bits=activations,
                weight_num_bits=pointwise if narrow else 8,
                weight_granularity=_CHANNELS,
            )
        except ValueError:
            return  # an operator that the quantizer leaves in float, between conversions

    return configure


def _float16(manager: RecipeManager, operator: _Operator) -> None:
    layer = operator.layer
    if operator.op not in _WEIGHTED or (
        operator.op in _CONVOLUTIONS and layer is not None and layer.weights_count < _LEAST_HALVED
    ):
        return
    manager.add_weight_only_config(
        operator.regex,
        operator.name,
        num_bits=16,
        granularity=_TENSOR,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )


_CONFIGURE: Mapping[str, Callable[[RecipeManager, _Operator], None]] = {
    "float16": _float16,
    "dynamic-int8": _dynamic(8, _CHANNELS),
    "dynamic-int8-tensor": _dynamic(8, _TENSOR),
    "dynamic-int4": _dynamic(4, _CHANNELS),
    "static-int8": _static(8),
    "static-int4": _static(8, pointwise=4),
    "static-int16x8": _static(16),
}
STATIC = ("static-int8", "static-int4", "static-int16x8")
"""Treatments with calibrated ranges."""

# The embedding is quantized in the traced graph.
TREATED = ("float32", *_CONFIGURE, "int8-rows", "int4-rows")
"""Treatments that this format can have."""


def quantize(model: Any, graph: CaptionerGraph, recipe: Recipe, samples: Samples | None) -> Any:
    """Give the model with each part treated as the recipe says.

    model: the float model, names apart; samples: what its graphs are given, for a recipe that is
    calibrated.
    """
    manager = RecipeManager()
    ranges: dict[str, tuple[float, float]] = {}
    observed: list[tuple[Layer, Observation]] = []
    for key in ("encode", graph.kind):
        by_treatment = _operators(model, key, graph, recipe)
        for treatment, operators in by_treatment.items():
            for operator in operators:
                _CONFIGURE[treatment](manager, operator)
        if samples is not None:
            seen = _observe(model, key, samples, recipe, by_treatment)
            ranges.update(seen.ranges)
            observed += [
                (operator.layer, seen)
                for operators in by_treatment.values()
                for operator in operators
                if operator.layer is not None and operator.result in seen.moments
            ]
    if recipe.embedding == "float16":
        _halve_table(model, graph.kind)
    configured = manager.get_quantization_recipe()
    if not configured:
        return model
    with quiet():
        quantizer = Quantizer(flatbuffer.write(model), configured)
        result = quantizer.quantize(
            _as_statistics(model, ranges) if ranges else None,
            enable_progress_bar=False,
            enable_progress_report=False,
        )
    quantized = flatbuffer.read(result.quantized_model)
    _better(model, quantized, observed, recipe)
    return quantized


def _operators(
    model: Any, key: str, graph: CaptionerGraph, recipe: Recipe
) -> dict[str, list[_Operator]]:
    """Give the operators of a graph that are changed, by treatment."""
    view = flatbuffer_view.view(model, key)
    results = flatbuffer_view.results(model, key)
    parts = encoder_parts(view) if key == "encode" else step_parts(view)
    blocks = BlockFinder(graph.blocks, results)
    layers = {layer.result: layer for layer in layers_of(model, key)}
    deep = _from_first_convolution(view)
    found: dict[str, list[_Operator]] = {}
    for place, (node, part, result) in enumerate(zip(view.nodes, parts, results, strict=True)):
        treatment = "float32" if part == "embedding" else recipe.treatment(part)
        if part == "encoder":
            block = blocks.find(result)
            kept = block is not None and block.name in recipe.keep_float
            if kept or (treatment in STATIC and place not in deep):
                continue
        if treatment in _CONFIGURE:
            operator = _Operator(node.op, result, layers.get(result))
            found.setdefault(treatment, []).append(operator)
    return found


def _from_first_convolution(view: GraphView) -> set[int]:
    """Give the places of all convolutions and what depends on one.

    Before the first, pixels are scaled; a grid of 8 bits between would only lose some.
    """
    made: set[str] = set()
    places = set()
    for place, node in enumerate(view.nodes):
        if node.op in _CONVOLUTIONS or made.intersection(node.inputs):
            made.update(node.outputs)
            places.add(place)
    # A graph without convolutions has no such place; all of it counts.
    return places or set(range(len(view.nodes)))


def _observe(
    model: Any,
    key: str,
    samples: Samples,
    recipe: Recipe,
    by_treatment: Mapping[str, Sequence[_Operator]],
) -> Observation:
    """Run the float graph as far as its treatments want to know something of it."""

    def layers(*treatments: str) -> list[Layer]:
        return [
            operator.layer
            for treatment in treatments
            for operator in by_treatment.get(treatment, ())
            if operator.layer is not None
        ]

    static = any(treatment in by_treatment for treatment in STATIC)
    narrow = layers("dynamic-int4")
    narrow += [layer for layer in layers("static-int4") if layer.pointwise]
    means = layers(*STATIC) if recipe.bias_correction else []
    if not (static or narrow or means):
        return Observation({}, {})
    return observe(
        model,
        key,
        _calls(key, samples),
        ranges=recipe.ranges if static else None,
        means=means,
        seconds=narrow,
    )


def _calls(key: str, samples: Samples) -> Iterator[Mapping[str, NDArray[Any]]]:
    if key == "encode":
        for image in samples.pixels:
            yield {"image": image[None]}
    else:
        for visit in samples.visits:
            yield {
                "ids": visit.ids,
                **{f"state_{name}": array for name, array in visit.state.items()},
            }


def _as_statistics(model: Any, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """Give ranges in the form of the quantizer's own calibration."""
    ranks = {
        tensor.name.decode(): 0 if tensor.shape is None else len(tensor.shape)
        for graph in model.subgraphs
        for tensor in graph.tensors
    }
    return {
        name: {
            "min": np.full((1,) * ranks[name], low, np.float32),
            "max": np.full((1,) * ranks[name], high, np.float32),
        }
        for name, (low, high) in ranges.items()
    }


def _better(
    model: Any, quantized: Any, observed: Sequence[tuple[Layer, Observation]], recipe: Recipe
) -> None:
    """Round 4-bit weights anew, and correct biases, in place."""
    before = _tensors(model)
    reads = {
        graph.tensors[operator.inputs[1]].name.decode(): [
            graph.tensors[place] for place in operator.inputs if place >= 0
        ]
        for graph in quantized.subgraphs
        for operator in graph.operators
        if flatbuffer_view.operator_name(quantized, operator) in _WEIGHTED
    }
    for layer, seen in observed:
        if layer.weights not in reads:
            continue
        given, new, *rest = reads[layer.weights]
        kind = flatbuffer_view.TYPES[new.type]
        if kind not in ("int4", "int8"):
            continue
        moments = seen.moments[layer.result]
        weights = layer.matrix(tensor_data(model, before[layer.weights]))
        if kind == "int4":
            centred = layer.bias is not None and recipe.bias_correction
            scales = best_scales(weights, np.diag(moments.second(centred=False)), 7)
            integers = round_by_moments(weights, moments.second(centred=centred), scales, 7)
            stored = layer.stored(integers, tuple(new.shape), np.int8)
            new.quantization.scale = scales.astype(np.float32)
            _store(quantized, new, _packed(stored))
        else:
            scales = np.asarray(new.quantization.scale, np.float64)
            integers = layer.matrix(tensor_data(quantized, new))
        bias = rest[0] if rest else None
        if layer.bias is None or bias is None or not recipe.bias_correction:
            continue
        mean = moments.mean
        rounded = integers * (scales[:, None] if scales.size > 1 else scales)
        if layer.depthwise:
            each = mean.reshape(-1, len(weights)).T
            shift = ((rounded - weights) * each).sum(axis=1)
        else:
            shift = rounding_shift(weights, rounded, mean)
        old = tensor_data(model, before[layer.bias]).astype(np.float64).ravel()
        _set_bias(quantized, bias, old - shift, given, scales)


def _set_bias(
    model: Any, tensor: Any, values: NDArray[np.float64], given: Any, scales: NDArray[np.float64]
) -> None:
    """Write a bias; given: the layer's input, whose scale is part of an integer bias' scale."""
    kind = flatbuffer_view.TYPES[tensor.type]
    if kind == "float32":
        _store(model, tensor, values.astype(np.float32))
        return
    steps = float(given.quantization.scale[0]) * scales
    tensor.quantization.scale = steps.astype(np.float32)
    whole = np.rint(values / steps)
    if kind == "int64":
        _store(model, tensor, whole.astype(np.int64))
    else:
        limits = np.iinfo(np.int32)
        _store(model, tensor, np.clip(whole, limits.min, limits.max).astype(np.int32))


def _halve_table(model: Any, key: str) -> None:
    """Store the word vectors in float16, turned back by a DEQUANTIZE, in place.

    GATHER takes no float16. An interpreter turns a stored tensor back once, not at each word.
    """
    view = flatbuffer_view.view(model, key)
    graph = model.subgraphs[flatbuffer_view.signature(model, key).subgraphIndex]
    results = flatbuffer_view.results(model, key)
    looked_up = {
        result
        for part, result in zip(step_parts(view), results, strict=True)
        if part == "embedding"
    }
    for operator in list(graph.operators):
        if graph.tensors[operator.outputs[0]].name.decode() not in looked_up:
            continue
        table = graph.tensors[operator.inputs[0]]
        half = schema.TensorT()
        half.name, half.shape, half.type = table.name + b"/half", table.shape, _FLOAT16
        half.quantization = schema.QuantizationParametersT()
        _store(model, half, tensor_data(model, table).astype(np.float16))
        table.buffer = 0
        graph.tensors.append(half)
        back = schema.OperatorT()
        back.opcodeIndex = flatbuffer.operator_code(model, schema.BuiltinOperator.DEQUANTIZE, 3)
        back.inputs = np.array([len(graph.tensors) - 1], np.int32)
        back.outputs = np.array([operator.inputs[0]], np.int32)
        graph.operators.insert(0, back)


def _tensors(model: Any) -> dict[str, Any]:
    return {tensor.name.decode(): tensor for graph in model.subgraphs for tensor in graph.tensors}


def _store(model: Any, tensor: Any, values: NDArray[Any]) -> None:
    """Put numbers into a buffer of the tensor's own; another may share the one it had."""
    buffer = schema.BufferT()
    buffer.data = values.reshape(-1).view(np.uint8)
    buffer.offset = buffer.size = 0
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def _packed(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Put two integers of 4 bits into a byte, the first one low."""
    flat = (values.reshape(-1) & 15).astype(np.uint8)
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    return (flat[::2] | flat[1::2] << 4).astype(np.uint8)
