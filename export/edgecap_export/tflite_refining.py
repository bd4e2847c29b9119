"""Bettering what LiteRT's quantizer rounded to nearest, where the layers were looked at in use.

4-bit weights are rounded anew, and biases take back the mean of what rounding changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecap_export import flatbuffer_view
from edgecap_export.rounding import (
    INT4_LARGEST,
    best_scales,
    pack_pairs,
    pooled,
    round_by_moments,
    rounding_shift,
)
from edgecap_export.tflite_layers import WEIGHTED, Layer, Observation, tensor_data

__all__ = ["pack_int4", "refine", "store"]


def refine(
    model: Any, quantized: Any, observed: Sequence[tuple[Layer, Observation]], *, correct: bool
) -> None:
    """Round 4-bit weights anew and, if asked to, correct biases, in place.

    model: the float model; quantized: what LiteRT's quantizer made of it; observed: its layers,
    each with what was seen of it.
    """
    before = _tensors(model)
    reads = {
        graph.tensors[operator.inputs[1]].name.decode(): [
            graph.tensors[place] for place in operator.inputs if place >= 0
        ]
        for graph in quantized.subgraphs
        for operator in graph.operators
        if flatbuffer_view.operator_name(quantized, operator) in WEIGHTED
    }
    together = pooled(
        (
            tensor_data(model, before[layer.weights]),
            seen.moments[layer.result],
            layer.bias is not None and correct,
        )
        for layer, seen in observed
    )
    for (layer, seen), (shared, centred) in zip(observed, together, strict=True):
        if layer.weights not in reads:
            continue
        given, new, *rest = reads[layer.weights]
        kind = flatbuffer_view.TYPES[new.type]
        if kind not in ("int4", "int8"):
            continue
        moments = seen.moments[layer.result]
        weights = layer.matrix(tensor_data(model, before[layer.weights]))
        if kind == "int4":
            scales = best_scales(weights, np.diag(shared.second(centred=False)), INT4_LARGEST)
            integers = round_by_moments(
                weights, shared.second(centred=centred), scales, INT4_LARGEST
            )
            stored = layer.stored(integers, tuple(new.shape), np.int8)
            new.quantization.scale = scales.astype(np.float32)
            store(quantized, new, pack_int4(stored))
        else:
            scales = np.asarray(new.quantization.scale, np.float64)
            integers = layer.matrix(tensor_data(quantized, new))
        bias = rest[0] if rest else None
        if layer.bias is None or bias is None or not correct:
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
        store(model, tensor, values.astype(np.float32))
        return
    steps = float(given.quantization.scale[0]) * scales
    tensor.quantization.scale = steps.astype(np.float32)
    whole = np.rint(values / steps)
    if kind == "int64":
        store(model, tensor, whole.astype(np.int64))
    else:
        limits = np.iinfo(np.int32)
        store(model, tensor, np.clip(whole, limits.min, limits.max).astype(np.int32))


def _tensors(model: Any) -> dict[str, Any]:
    return {tensor.name.decode(): tensor for graph in model.subgraphs for tensor in graph.tensors}


def store(model: Any, tensor: Any, values: NDArray[Any]) -> None:
    """Put numbers into a buffer of the tensor's own; another may share the one it had."""
    buffer = schema.BufferT()
    buffer.data = values.reshape(-1).view(np.uint8)
    buffer.offset = buffer.size = 0
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def pack_int4(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Put integers of any shape two into a byte, the first one low; an odd one has 0 beside it."""
    flat = values.reshape(-1)
    return pack_pairs(np.append(flat, np.int8(0)) if flat.size % 2 else flat)
