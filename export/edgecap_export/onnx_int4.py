"""Products with int4 weights, as ONNX Runtime's `MatMulNBits`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgecap_export.onnx_layers import initializers, watch
from edgecap_export.onnx_zero_state import drop_unread
from edgecap_export.rounding import (
    INT4_LARGEST,
    Moments,
    best_scales,
    pack_pairs,
    pooled,
    round_by_moments,
)

__all__ = ["Chosen", "narrow_products"]

_BLOCK = 128
"""Weights that share a scale."""

_ZERO = 8
# Multiply in int8, the activations quantized as they come.
_ACCURACY_LEVEL = 4
_DOMAIN = "com.microsoft"


@dataclass(frozen=True)
class Chosen:
    """Products of one graph."""

    model: Any
    """The model, whose graph is changed in place."""
    names: Sequence[str]
    """Names of its nodes; those that are no product with stored weights are let be."""
    calls: Iterable[Mapping[str, NDArray[Any]]]
    """What the model is given in use; weights are rounded for that."""


def narrow_products(chosen: Sequence[Chosen]) -> None:
    """Turn the weights of these products into int4, those that graphs share alike, in place."""
    products = [
        (each.model, node, weights, moments)
        for each in chosen
        for node, weights, moments in _observe(each)
    ]
    together = pooled((weights, moments, False) for _, _, weights, moments in products)
    for (model, node, weights, _), (moments, _) in zip(products, together, strict=True):
        _replace(model, node, *_packed(weights, moments.second(centred=False)), weights.shape)
    for each in chosen:
        drop_unread(each.model.graph)


def _observe(chosen: Chosen) -> Iterator[tuple[Any, NDArray[np.float64], Moments]]:
    """Yield the nodes, each with its weights, [outputs, inputs], and what it was given."""
    stored = initializers(chosen.model.graph)
    nodes = [
        node
        for node in chosen.model.graph.node
        if node.name in chosen.names and node.op_type == "MatMul" and node.input[1] in stored
    ]
    if not nodes:
        return
    moments = {node.name: Moments() for node in nodes}
    for values in watch(chosen.model, sorted({node.input[0] for node in nodes}), chosen.calls):
        for node in nodes:
            given = values[node.input[0]]
            moments[node.name].add(given.reshape(-1, given.shape[-1]), second=True)
    for node in nodes:
        weights = numpy_helper.to_array(stored[node.input[1]])
        yield node, np.asarray(weights, np.float64).T, moments[node.name]


def _replace(
    model: Any,
    node: Any,
    packed: NDArray[np.uint8],
    scales: NDArray[np.float32],
    shape: tuple[int, ...],
) -> None:
    name = node.input[1]
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(packed, f"{name}/int4"),
            numpy_helper.from_array(scales, f"{name}/scales"),
        ]
    )
    outputs, inputs = shape
    node.CopyFrom(
        helper.make_node(
            "MatMulNBits",
            [node.input[0], f"{name}/int4", f"{name}/scales"],
            list(node.output),
            name=node.name,
            domain=_DOMAIN,
            K=inputs,
            N=outputs,
            bits=4,
            block_size=_BLOCK,
            accuracy_level=_ACCURACY_LEVEL,
        )
    )
    if not any(item.domain == _DOMAIN for item in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def _packed(
    weights: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round [outputs, inputs] and pack them as the operator wants.

    Gives two integers a byte, the first one low, [outputs, blocks, 64], and scales
    [outputs * blocks].
    """
    outputs, inputs = weights.shape
    blocks = -(-inputs // _BLOCK)
    strength = np.diag(second)
    scales = np.stack(
        [
            best_scales(
                weights[:, first : first + _BLOCK], strength[first : first + _BLOCK], INT4_LARGEST
            )
            for first in range(0, inputs, _BLOCK)
        ],
        axis=1,
    ).astype(np.float32)
    each = np.repeat(scales.astype(np.float64), _BLOCK, axis=1)[:, :inputs]
    integers = round_by_moments(weights, second, each, INT4_LARGEST)
    whole = np.full((outputs, blocks * _BLOCK), _ZERO, np.uint8)
    whole[:, :inputs] = integers + _ZERO
    return pack_pairs(whole.reshape(outputs, blocks, -1)), scales.ravel()
