"""LSTMs over a sequence as a TensorFlow loop, which the TFLite converter keeps as one WHILE.

Every tensor of the loop has a shape that is known once the inputs' shapes are. A tensor without
one (TensorFlow's lists, one-hot rows of an open length, growing by concatenation) would have the
interpreter allocate anew in every pass, or fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from edgecap_export.recurrence import HARD_SIGMOIDS, Direction

__all__ = ["loop"]


def loop(sequence: Any, directions: Sequence[Direction]) -> list[Any]:
    """Run LSTMs over the same inputs, all in one loop; see `recurrence.Recurrence`.

    The products with the inputs don't depend on the outputs: they are one matrix product before
    the loop. A reversed sequence is turned round before and its outputs after.
    """
    import tensorflow as tf
    from keras import ops

    units = directions[0].units
    kernel = tf.concat([tf.convert_to_tensor(item.kernel) for item in directions], axis=1)
    bias = tf.concat([tf.convert_to_tensor(item.bias) for item in directions], axis=0)
    # Time comes first: what a pass reads and writes is one piece of memory.
    projected = tf.matmul(tf.transpose(sequence, [1, 0, 2]), kernel) + bias
    projected = tf.concat(
        [
            _turned(part, item)
            for part, item in zip(
                tf.split(projected, len(directions), axis=2), directions, strict=True
            )
        ],
        axis=2,
    )
    outputs = tf.zeros_like(projected[:, :, : len(directions) * units])
    zeros = [outputs[0, :, :units]] * len(directions)

    def body(time: Any, hidden: Any, cells: Any, outputs: Any) -> Any:
        inputs = tf.split(tf.gather(projected, time), len(directions), axis=1)
        stepped = [_cell(*row) for row in zip(directions, inputs, hidden, cells, strict=True)]
        hidden, cells = map(list, zip(*stepped, strict=True))
        row = tf.reshape(tf.concat(hidden, axis=1), [1, -1, len(directions) * units])
        return time + 1, hidden, cells, ops.slice_update(outputs, [time, 0, 0], row)

    length = tf.shape(projected)[0]
    outputs = tf.while_loop(
        lambda time, *_: time < length, body, (tf.constant(0), zeros, zeros, outputs)
    )[-1]
    return [
        tf.transpose(_turned(part, item), [1, 0, 2])
        for part, item in zip(tf.split(outputs, len(directions), axis=2), directions, strict=True)
    ]


def _turned(part: Any, direction: Direction) -> Any:
    import tensorflow as tf

    return tf.reverse(part, [0]) if direction.reverse else part


def _cell(direction: Direction, projected: Any, hidden: Any, cell: Any) -> tuple[Any, Any]:
    """Step an LSTM: projected inputs [rows, 4 U], output and cell [rows, U] to the next two."""
    import tensorflow as tf

    activated = _gate_activation(direction.recurrent_activation)
    sums = projected + tf.matmul(hidden, tf.convert_to_tensor(direction.recurrent_kernel))
    input_gate, forget_gate, candidate, output_gate = tf.split(sums, 4, axis=1)
    cell = activated(forget_gate) * cell + activated(input_gate) * tf.tanh(candidate)
    return activated(output_gate) * tf.tanh(cell), cell


def _gate_activation(name: str) -> Callable[[Any], Any]:
    import tensorflow as tf

    hard = HARD_SIGMOIDS[name]
    if hard is None:
        return cast("Callable[[Any], Any]", tf.sigmoid)
    alpha, beta = hard

    def hard_sigmoid(sums: Any) -> Any:
        return tf.clip_by_value(alpha * sums + beta, 0.0, 1.0)

    return hard_sigmoid
