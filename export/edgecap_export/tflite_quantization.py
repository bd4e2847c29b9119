"""Quantizing a float .tflite model by a recipe, part by part.

LiteRT's quantizer decides how operators and tensors of each type meet; `tflite_refining` betters
what it rounds to nearest. Each treatment is one entry in `_CONFIGURE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import qtyping
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.quantizer import Quantizer
from litert_quantizer.recipe_manager import RecipeManager

from edgecap_export import flatbuffer, flatbuffer_view
from edgecap_export.blocks import BlockFinder
from edgecap_export.calibration import Samples
from edgecap_export.graph_view import encoder_parts, from_first_convolution, step_parts
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.tflite_layers import (
    WEIGHTED,
    Layer,
    Observation,
    layers_of,
    observe,
    tensor_data,
)
from edgecap_export.tflite_refining import refine, store
from edgecap_export.treatments import LEAST_HALVED

__all__ = ["STATIC", "TREATED", "quantize"]

_CHANNELS = qtyping.QuantGranularity.CHANNELWISE
_TENSOR = qtyping.QuantGranularity.TENSORWISE
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
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
        if operator.op in WEIGHTED:
            manager.add_dynamic_config(
                operator.regex, operator.name, num_bits=bits, granularity=granularity
            )

    return configure


def _never(layer: Layer) -> bool:
    return False


_IN_4_BITS: Mapping[str, Callable[[Layer], bool]] = {
    "static-int4": lambda layer: layer.pointwise,
    "static-int4-lines": lambda layer: layer.linear,
}
"""By treatment: which of the encoder's layers have weights of 4 bits."""


def _static(
    activations: int, in_4_bits: Callable[[Layer], bool] = _never
) -> Callable[[RecipeManager, _Operator], None]:
    def configure(manager: RecipeManager, operator: _Operator) -> None:
        if operator.name is None:
            return
        narrow = operator.layer is not None and in_4_bits(operator.layer)
        try:
            manager.add_static_config(
                operator.regex,
                operator.name,
                activation_num_bits=activations,
                weight_num_bits=4 if narrow else 8,
                weight_granularity=_CHANNELS,
            )
        except ValueError:
            return  # an operator that the quantizer leaves in float, between conversions

    return configure


def _float16(manager: RecipeManager, operator: _Operator) -> None:
    layer = operator.layer
    if operator.op not in WEIGHTED or (
        operator.op in _CONVOLUTIONS and layer is not None and layer.weights_count < LEAST_HALVED
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
    **{name: _static(8, in_4_bits) for name, in_4_bits in _IN_4_BITS.items()},
    "static-int16x8": _static(16),
}
STATIC = ("static-int8", *_IN_4_BITS, "static-int16x8")
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
    refine(model, quantized, observed, correct=recipe.bias_correction)
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
    deep = from_first_convolution(view)
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
    for treatment, in_4_bits in _IN_4_BITS.items():
        narrow += [layer for layer in layers(treatment) if in_4_bits(layer)]
    means = layers(*STATIC) if recipe.bias_correction else []
    if not (static or narrow or means):
        return Observation({}, {})
    return observe(
        model,
        key,
        samples.encode_calls() if key == "encode" else samples.step_calls(),
        ranges=recipe.ranges if static else None,
        means=means,
        seconds=narrow,
    )


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
        store(model, half, tensor_data(model, table).astype(np.float16))
        table.buffer = 0
        graph.tensors.append(half)
        back = schema.OperatorT()
        back.opcodeIndex = flatbuffer.operator_code(model, schema.BuiltinOperator.DEQUANTIZE, 3)
        back.inputs = np.array([len(graph.tensors) - 1], np.int32)
        back.outputs = np.array([operator.inputs[0]], np.int32)
        graph.operators.insert(0, back)
