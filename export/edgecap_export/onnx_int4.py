"""Products with int4 weights, as ONNX Runtime's `MatMulNBits`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    round_by_moments,
)

__all__ = ["narrow_products"]

_BLOCK = 128
"""Weights that share a scale."""

_ZERO = 8
# Multiply in int8, the activations quantized as they come.
_ACCURACY_LEVEL = 4
_DOMAIN = "com.microsoft"


def narrow_products(
    model: Any, names: Sequence[str], calls: Iterable[Mapping[str, NDArray[Any]]]
) -> Any:
    """Give the model with the weights of these products in int4, in place.

    calls: what the model is given in use; its weights are rounded for that.
    """
    stored = initializers(model.graph)
    chosen = [
        node
        for node in model.graph.node
        if node.name in names and node.op_type == "MatMul" and node.input[1] in stored
    ]
    if not chosen:
        return model
    moments = {node.name: Moments() for node in chosen}
    for values in watch(model, sorted({node.input[0] for node in chosen}), calls):
        for node in chosen:
            given = values[node.input[0]]
            moments[node.name].add(given.reshape(-1, given.shape[-1]), second=True)
    for node in chosen:
        weights = np.asarray(numpy_helper.to_array(stored[node.input[1]]), np.float64).T
        packed, scales = _packed(weights, moments[node.name].second(centred=False))
        name = node.input[1]
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(packed, f"{name}/int4"),
                numpy_helper.from_array(scales, f"{name}/scales"),
            ]
        )
        outputs, inputs = weights.shape
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
    drop_unread(model.graph)
    if not any(item.domain == _DOMAIN for item in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return model


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
