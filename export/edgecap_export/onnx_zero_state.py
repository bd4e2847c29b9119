"""Taking out of an ONNX encoder what it computes from a state of zeros.

The first step of an LSTM multiplies a state of zeros by the recurrent kernel. The TFLite
converter folds that, as its graph has one image; tf2onnx keeps it where the number of images is
open, and with it a float kernel that nothing else needs (4.2 MB at 512 units).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

__all__ = ["drop_unread", "fold_zero_states"]


def fold_zero_states(graph: Any) -> None:
    """Replace, in place, products of zeros and a stored matrix by one row of zeros.

    Only products that are nothing but added to another computed tensor: that one brings the row
    count, over which the row is broadcast. Weights that nothing reads any more are dropped.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    zeros = {node.output[0] for node in graph.node if _makes_zeros(node, stored)}
    results = {output.name for output in graph.output}
    folded = []
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[0] not in zeros or node.input[1] not in stored:
            continue
        name = node.output[0]
        readers = [reader for reader in graph.node if name in reader.input]
        if name in results or not all(_adds_to_computed(reader, stored) for reader in readers):
            continue
        width = stored[node.input[1]].dims[-1]
        graph.initializer.append(numpy_helper.from_array(np.zeros((1, width), np.float32), name))
        folded.append(node)
    for node in folded:
        graph.node.remove(node)
    drop_unread(graph)


def drop_unread(graph: Any) -> None:
    """Drop, in place, the weights that no node reads."""
    read = {name for node in graph.node for name in node.input}
    left = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(left)


def _adds_to_computed(node: Any, stored: dict[str, Any]) -> bool:
    return node.op_type == "Add" and not any(name in stored for name in node.input)


def _makes_zeros(node: Any, stored: dict[str, Any]) -> bool:
    """Tell whether a node spreads a stored zero over a shape: `ops.zeros` and `zeros_like`."""
    if node.op_type == "Expand":
        value = stored.get(node.input[0])
        return value is not None and not np.any(numpy_helper.to_array(value))
    if node.op_type == "ConstantOfShape":
        # Without an attribute its value is 0.
        return not any(np.any(numpy_helper.to_array(item.t)) for item in node.attribute)
    return False
