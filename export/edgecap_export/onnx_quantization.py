"""Quantizing the two ONNX graphs of a captioner by a recipe, part by part."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgecap_export import onnx_view
from edgecap_export.calibration import Samples
from edgecap_export.graph_view import encoder_parts, step_parts
from edgecap_export.onnx_int4 import Chosen, narrow_products
from edgecap_export.onnx_layers import block_owners, name_nodes
from edgecap_export.onnx_lstm import unsign_lstms
from edgecap_export.onnx_static import quantize_encoder
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.treatments import LEAST_HALVED, PARTS

__all__ = ["lacks", "quantize"]

_PRODUCTS = ["MatMul", "LSTM"]

_LACKS: Mapping[tuple[str, str], str] = {
    ("encoder", "dynamic-int8"): (
        "ONNX Runtime multiplies so four to ten times slower than in float"
    ),
    ("encoder", "static-int4"): "ONNX Runtime has no convolution with int4 weights",
    ("encoder", "static-int4-lines"): "ONNX Runtime has no convolution with int4 weights",
    ("encoder", "static-int16x8"): "ONNX Runtime's CPU has no convolution of int16 activations",
    ("step", "static-int8"): "edgecap writes a step in calibrated ranges for LiteRT alone",
    ("step", "dynamic-int8-tensor"): "it is for old LiteRT interpreters, which read no .onnx",
    ("output", "dynamic-int8-tensor"): "it is for old LiteRT interpreters, which read no .onnx",
}


def lacks(graph: CaptionerGraph, recipe: Recipe) -> Mapping[str, str]:
    """Say for which parts a recipe asks what can't be had for this captioner, and why."""
    found = {
        part: _LACKS[part, recipe.treatment(part)]
        for part in PARTS
        if (part, recipe.treatment(part)) in _LACKS
    }
    if graph.kind == "prefix" and recipe.step == "dynamic-int4":
        found["step"] = "ONNX Runtime has no LSTM over a sequence with int4 weights"
    return found


def quantize(
    encode: Any, step: Any, graph: CaptionerGraph, recipe: Recipe, samples: Samples | None
) -> tuple[Any, Any]:
    """Give both models with each part treated as the recipe says.

    samples: what the graphs are given in use, for a recipe that is calibrated.
    """
    for model in (encode, step):
        name_nodes(model.graph)
    # The encoder's products, where it has any, are treated with its convolutions.
    wide = recipe.parts_treated("dynamic-int8")
    step = _dynamic(step, _nodes(step, wide, step_parts))
    encode = _dynamic(encode, _nodes(encode, wide - {"encoder"}, encoder_parts))
    narrow = recipe.parts_treated("dynamic-int4")
    if narrow and samples is not None:
        of_encode = _nodes(encode, narrow - {"encoder"}, encoder_parts)
        of_step = _nodes(step, narrow, step_parts)
        narrow_products(
            [
                Chosen(encode, of_encode, samples.encode_calls()),
                Chosen(step, of_step, samples.step_calls()),
            ]
        )
    if recipe.encoder == "static-int8" and samples is not None:
        encode = quantize_encoder(encode, graph.blocks, recipe, samples.pixels)
    halved = recipe.parts_treated("float16")
    if halved:
        owners = block_owners(encode.graph, graph.blocks)
        kept = {
            node.name
            for node, owner in zip(encode.graph.node, owners, strict=True)
            if owner is not None and owner.name in recipe.keep_float
        }
        _halve(encode, set(_nodes(encode, halved, encoder_parts, every=True)) - kept)
        _halve(step, set(_nodes(step, halved, step_parts, every=True)))
    return encode, step


def _nodes(model: Any, parts: frozenset[str], parts_of: Any, *, every: bool = False) -> list[str]:
    """Name the nodes of these parts: those that multiply by a matrix, or every one."""
    view = onnx_view.graph_view(model.graph, {})
    return [
        node.name
        for node, part in zip(model.graph.node, parts_of(view), strict=True)
        if part in parts and (every or node.op_type in _PRODUCTS)
    ]


def _dynamic(model: Any, names: list[str]) -> Any:
    """Give the model with the weights of these products in int8, a scale per column.

    Unsigned weights: on x86 CPUs with AVX2 but no VNNI the kernels add two products of uint8
    activations and int8 weights in 16 bits, which 8-bit weights overflow without an error, so
    what is proven here would not hold there. Signed weights of 7 bits (`reduce_range`) are safe
    too and faster for a beam (a step of 3 rows at V 2539, U 512 on 2 threads .087 ms against
    .114; one row .075 against .083) but twice as far from the float words: on the tests' captioner
    the 99th percentile of the log probabilities' differences was .106 against .056.
    """
    if not names:
        return model
    with tempfile.TemporaryDirectory() as folder, quiet():
        quantized = Path(folder) / "quantized.onnx"
        quantize_dynamic(
            model,
            quantized,
            op_types_to_quantize=_PRODUCTS,
            nodes_to_quantize=names,
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
        smaller = onnx.load(quantized)
    unsign_lstms(smaller.graph)
    return smaller


def _halve(model: Any, names: set[str]) -> None:
    """Store the matrices of these nodes in float16, each widened by a Cast, in place.

    Convolutions' small ones stay as they are. ONNX Runtime widens them once, when it loads the
    model.
    """
    readers = {
        name: node.op_type for node in model.graph.node if node.name in names for name in node.input
    }
    casts = []
    for tensor in model.graph.initializer:
        matrix = sum(size > 1 for size in tensor.dims) >= 2
        if tensor.name not in readers or tensor.data_type != TensorProto.FLOAT or not matrix:
            continue
        if readers[tensor.name] == "Conv" and math.prod(tensor.dims) < LEAST_HALVED:
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}/half"))
        casts.append(
            helper.make_node(
                "Cast", [f"{name}/half"], [name], name=f"{name}/widened", to=TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
