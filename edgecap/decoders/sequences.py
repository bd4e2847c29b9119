"""LSTM layers over a sequence as an export traces them: by the format's recurrence, masks apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

if TYPE_CHECKING:
    from edgecap_export import Recurrence


class Unmasked:
    """Runs LSTMs over the unmasked places of a sequence alone, by selection matrices.

    A masked place holds the state, so an LSTM over the unmasked places, moved together, gives the
    same; multiplying by ones and zeros moves them exactly. At a masked place Keras' LSTM repeats
    the output before it, while its `Bidirectional` says zero.
    """

    def __init__(self, unmasked: Any) -> None:
        counted = ops.cast(unmasked, "int32")
        backwards = ops.flip(ops.cumsum(ops.flip(counted, axis=1), axis=1), axis=1)
        # For each place, the slot of the last unmasked one up to it, in either direction; -1
        # before the first.
        self._slots = {False: ops.cumsum(counted, axis=1) - 1, True: backwards - 1}
        self._unmasked = unmasked

    def run(self, direction: Any, sequence: Any, recurrence: Recurrence, *, both: bool) -> Any:
        """Give the outputs [rows, T, U] of one direction over sequence [rows, T, I].

        both: whether the LSTM is one half of a `Bidirectional`.
        """
        slots = self._slots[direction.reverse]
        of_place = ops.one_hot(slots, sequence.shape[1], dtype="float32")
        taken = of_place * ops.cast(ops.expand_dims(self._unmasked, -1), "float32")
        moved = ops.matmul(ops.transpose(taken, (0, 2, 1)), sequence)
        (outputs,) = recurrence(moved, [dataclasses.replace(direction, reverse=False)])
        return ops.matmul(taken if both else of_place, outputs)


def run_lstm(
    layer: Any, sequence: Any, recurrence: Recurrence, order: Unmasked | None = None
) -> list[Any]:
    """Give the outputs [rows, T, U] of an LSTM, and of its backward twin if it has one."""
    from edgecap_export import directions_of

    directions = directions_of(layer)
    if order is None:
        return list(recurrence(sequence, directions))
    return [
        order.run(direction, sequence, recurrence, both=len(directions) == 2)
        for direction in directions
    ]


def last_outputs(outputs: Sequence[Any]) -> Any:
    """Join what each direction says in the end: the backward one ends at the first place."""
    ends = [output[:, 0 if backward else -1] for backward, output in enumerate(outputs)]
    return ops.concatenate(ends, axis=-1)
