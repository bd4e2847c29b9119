"""LSTMs over a sequence as ONNX `LSTM` operators.

tf2onnx would make a `Loop` of a TensorFlow loop, with the weights as the loop's state: slow, and
closed to quantization. So each LSTM is traced as one TensorFlow operator, `BlockLSTMV2`, that
tf2onnx hands through and `restore_lstms` replaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from edgecap_export.errors import ExportError
from edgecap_export.onnx_zero_state import drop_unread
from edgecap_export.recurrence import HARD_SIGMOIDS, Direction

__all__ = ["MARKS", "marked", "restore_lstms", "unsign_lstms"]

_MARK = "BlockLSTMV2"
MARKS = {_MARK: "edgecap"}
"""Operators that tf2onnx must hand through, and the domain to put them in."""

# Their places among the mark's inputs and outputs; the rest is not used.
_SEQUENCE, _WEIGHTS, _BIAS, _HIDDEN = 1, 4, 8, 6
_NAME = re.compile(r"(?:^|/)lstm\.(?P<activation>\w+?)\.(?P<direction>forward|reverse)(?:_\d+)?$")
# Where a DynamicQuantizeLSTM has both weights and their zero points.
_SIGNED = (1, 2, 9, 11)
# Keras has the gates input, forget, cell, output; ONNX has input, output, forget, cell.
_GATES = (0, 3, 1, 2)


def marked(sequence: Any, directions: Sequence[Direction]) -> list[Any]:
    """Mark where LSTMs run over a sequence; see `recurrence.Recurrence`.

    What the mark has no place for, the gates' activation and the direction, is in its name: run in
    TensorFlow it would be a forward LSTM with sigmoids.
    """
    import tensorflow as tf

    # An ONNX LSTM has its time first.
    sequence = tf.transpose(sequence, [1, 0, 2])
    outputs = []
    for item in directions:
        direction = "reverse" if item.reverse else "forward"
        weights = [tf.convert_to_tensor(part) for part in (item.kernel, item.recurrent_kernel)]
        state, peephole = tf.zeros([1, item.units]), tf.zeros([item.units])
        marks = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.constant(0, tf.int64),
            x=sequence,
            cs_prev=state,
            h_prev=state,
            w=tf.concat(weights, axis=0),
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=tf.convert_to_tensor(item.bias),
            use_peephole=False,
            name=f"lstm.{item.recurrent_activation}.{direction}",
        )
        outputs.append(tf.transpose(marks.h, [1, 0, 2]))
    return outputs


def restore_lstms(graph: Any) -> None:
    """Put an ONNX `LSTM` in the place of each mark of a graph, in place.

    Raises `ExportError` if a mark has come through tf2onnx changed.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        nodes.extend(_lstm(node, stored, graph) if node.op_type == _MARK else [node])
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph)


def unsign_lstms(graph: Any) -> None:
    """Turn the int8 weights of quantized LSTMs into uint8, in place; their values stay the same.

    ONNX Runtime's quantizer makes LSTMs signed whatever it is told.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLSTM":
            for place in _SIGNED:
                tensor = stored[node.input[place]]
                values = numpy_helper.to_array(tensor).astype(np.int16) + 128
                tensor.CopyFrom(numpy_helper.from_array(values.astype(np.uint8), tensor.name))


def _lstm(mark: Any, stored: dict[str, Any], graph: Any) -> list[Any]:
    """Give the nodes that a mark stands for; their weights are added to the graph."""
    found = _NAME.search(mark.name)
    weights, bias = (stored.get(mark.input[place]) for place in (_WEIGHTS, _BIAS))
    if found is None or weights is None or bias is None:
        raise ExportError(
            f"tf2onnx has changed the LSTM {mark.name!r} so that it is not known again; use the "
            "versions of tensorflow and tf2onnx that edgecap was tested with."
        )
    whole, offset = numpy_helper.to_array(weights), numpy_helper.to_array(bias)
    units = len(offset) // 4
    kernel, recurrent = whole[:-units], whole[-units:]
    # ONNX has a second bias, for the recurrent product.
    biases = np.concatenate([_ordered(offset), np.zeros_like(offset)])
    parts = {"W": _ordered(kernel).T, "R": _ordered(recurrent).T, "B": biases}
    name = mark.name
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(part[None]), f"{name}/{part_name}")
        for part_name, part in parts.items()
    )
    graph.initializer.append(numpy_helper.from_array(np.array([1]), f"{name}/axes"))
    lstm = helper.make_node(
        "LSTM",
        [mark.input[_SEQUENCE], *(f"{name}/{part}" for part in parts)],
        [f"{name}/outputs"],
        name=name,
        hidden_size=units,
        direction=found["direction"],
        **_activations(found["activation"]),
    )
    # Outputs are [T, directions, rows, U].
    squeeze = helper.make_node(
        "Squeeze",
        [f"{name}/outputs", f"{name}/axes"],
        [mark.output[_HIDDEN]],
        name=f"{name}/squeeze",
    )
    return [lstm, squeeze]


def _ordered(gates: Any) -> Any:
    """Put the gates of [..., 4 U] in ONNX' order."""
    parts = np.split(gates, 4, axis=-1)
    return np.concatenate([parts[place] for place in _GATES], axis=-1)


def _activations(name: str) -> dict[str, Any]:
    """Give the attributes for the gates' activation; sigmoids and tanh are the default."""
    hard = HARD_SIGMOIDS[name]
    if hard is None:
        return {}
    alpha, beta = hard
    return {
        "activations": ["HardSigmoid", "Tanh", "Tanh"],
        "activation_alpha": [alpha],
        "activation_beta": [beta],
    }
