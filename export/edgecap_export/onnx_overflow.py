"""int8 weights of an ONNX encoder whose products overflow on no processor.

On x86 without VNNI, ONNX Runtime multiplies unsigned activations by signed weights with VPMADDUBSW
(AVX2 and AVX-512 alike): it adds two products in 16 bits and saturates without an error. The two
weights of such a pair lie side by side in the order in which a kernel reads its inputs: height,
width, channels. Two of one sign whose sizes add up to more than 128 can overflow (255 * 129 is more
than 32767); two of opposite signs never do. A row that holds such a pair gets a coarser scale, just
coarse enough. The order belongs to a version of ONNX Runtime: `tests/devices/test_overflow.py`
fails when it changes.

Depthwise convolutions of one output a channel have a kernel that adds in 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecap_export.onnx_layers import initializers, replace_tensor
from edgecap_export.rounding import Floats

__all__ = ["LARGEST_PAIR", "largest_pairs", "overflowing", "prevent_overflow", "rounded_rows"]

LARGEST_PAIR = 128
"""Largest sum of the sizes of two weights of one sign that can't overflow."""

_LARGEST = 127
_COARSER = 1 / 512
_CONVOLUTION = "Conv"
_PRODUCTS = ("MatMul", "Gemm")


@dataclass(frozen=True)
class _Product:
    """A convolution or product with int8 weights whose kernel adds products in pairs."""

    node: Any
    """Its node."""
    weights: Any
    """The DequantizeLinear that its weights come from."""
    axis: int
    """The axis of the weights that counts outputs."""

    def rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return weights as [outputs, inputs], inputs in the kernel's order."""
        first = np.moveaxis(values, self.axis, 0)
        if first.ndim == 4:
            first = first.transpose(0, 2, 3, 1)
        return first.reshape(len(first), -1)

    def shaped(self, rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return rows, [outputs, inputs], as weights of this shape: the reverse of `rows`."""
        if len(shape) == 4:
            outputs, channels, height, width = shape
            return rows.reshape(outputs, height, width, channels).transpose(0, 3, 1, 2)
        return np.moveaxis(rows, 0, self.axis)


def largest_pairs(rows: NDArray[Any]) -> Floats:
    """Return for each row of [outputs, inputs] the largest sum of two weights that add up.

    Inputs are in the kernel's order; two are a pair where the first has an even index.
    """
    sizes = np.asarray(rows, np.float64)
    if sizes.shape[1] % 2:
        sizes = np.pad(sizes, ((0, 0), (0, 1)))
    first, second = sizes[:, ::2], sizes[:, 1::2]
    sums = np.where(first * second > 0, np.abs(first + second), 0.0)
    return np.asarray(sums.max(axis=1, initial=0.0))


def rounded_rows(rows: Floats, scales: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round weights, [outputs, inputs], to integers of 8 bits of which no pair can overflow.

    scales: [outputs], those that the range of 8 bits asks for. Returns the integers and the
    scales, those of rows with too large a pair coarser.
    """
    found = np.maximum(scales, largest_pairs(rows) / LARGEST_PAIR)
    while True:
        integers = np.clip(np.rint(rows / found[:, None]), -_LARGEST, _LARGEST)
        over = largest_pairs(integers) > LARGEST_PAIR
        if not over.any():
            return integers.astype(np.int8), found
        found[over] *= 1 + _COARSER


def prevent_overflow(before: Any, after: Any) -> None:
    """Round the weights of a quantized graph anew so that none can overflow, in place.

    before: the float graph; after: what `quantize_static` made of it.
    """
    exact, stored, sources = initializers(before), initializers(after), _sources(after)
    for product in _products(after):
        weights, scale = (stored[name] for name in product.weights.input[:2])
        plain = exact.get(weights.name.removesuffix("_quantized"))
        if plain is None:
            continue
        values = np.asarray(numpy_helper.to_array(plain), np.float64)
        old = np.asarray(numpy_helper.to_array(scale), np.float64)
        rows = product.rows(values)
        integers, coarser = rounded_rows(rows, np.broadcast_to(old, len(rows)))
        while old.size == 1 and np.ptp(coarser):
            # One scale for all outputs stays one: the coarsest.
            integers, coarser = rounded_rows(rows, np.full(len(rows), coarser.max()))
        factors = coarser[: old.size].reshape(old.shape) / old
        replace_tensor(after, weights.name, product.shaped(integers, values.shape))
        replace_tensor(after, scale.name, (old * factors).astype(np.float32))
        bias = sources.get(product.node.input[2]) if len(product.node.input) > 2 else None
        if bias is not None:
            _rescale(after, bias, factors)


def overflowing(graph: Any) -> list[str]:
    """Return the names of the convolutions and products of a graph whose weights can overflow."""
    stored = initializers(graph)
    weights = {
        product.node.name: product.rows(numpy_helper.to_array(stored[product.weights.input[0]]))
        for product in _products(graph)
    }
    return [name for name, rows in weights.items() if largest_pairs(rows).max() > LARGEST_PAIR]


def _products(graph: Any) -> Iterator[_Product]:
    stored, sources = initializers(graph), _sources(graph)
    for node in graph.node:
        if node.op_type not in (_CONVOLUTION, *_PRODUCTS):
            continue
        source = sources.get(node.input[1])
        if source is None or source.input[0] not in stored:
            continue
        settings = {item.name: item.i for item in node.attribute}
        if node.op_type == _CONVOLUTION:
            outputs, inputs = stored[source.input[0]].dims[:2]
            depthwise = inputs == 1 < outputs == settings.get("group", 1)
            if not depthwise:
                yield _Product(node, source, 0)
        else:
            yield _Product(node, source, 0 if settings.get("transB") else 1)


def _sources(graph: Any) -> dict[str, Any]:
    return {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}


def _rescale(graph: Any, bias: Any, factors: Floats) -> None:
    """Bring a bias, the result of a DequantizeLinear, to coarser scales."""
    stored = initializers(graph)
    values, scale = (numpy_helper.to_array(stored[name]) for name in bias.input[:2])
    replace_tensor(graph, bias.input[1], (scale * factors).astype(np.float32))
    replace_tensor(graph, bias.input[0], np.rint(values / factors).astype(np.int32))
