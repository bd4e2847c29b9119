"""LSTMs over a whole sequence, as a prefix decoder hands them to the writer of a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgecap_export.errors import ExportError

__all__ = ["HARD_SIGMOIDS", "Direction", "Recurrence", "directions_of"]

HARD_SIGMOIDS: Mapping[str, tuple[float, float] | None] = {
    "sigmoid": None,
    "hard_sigmoid": (1 / 6, 0.5),
    "keras2_hard_sigmoid": (0.2, 0.5),
}
"""Activations of the gates. A hard one is clip(alpha * x + beta, 0, 1) by its alpha and beta; that
of Keras 3 is relu6(x + 3) / 6."""


@dataclass(frozen=True)
class Direction:
    """One LSTM that reads a sequence one way; raises `ExportError` where its parts disagree.

    With U units and inputs I wide, in Keras' order of the gates (input, forget, cell, output).
    The cell and the output go through tanh (Hochreiter and Schmidhuber 1997, with the forget gate
    of Gers et al. 2000).
    """

    kernel: Any
    """Weights of the inputs, float32 [I, 4 U]: an array, a tensor or a Keras variable."""
    recurrent_kernel: Any
    """Weights of the output before, float32 [U, 4 U]."""
    bias: Any
    """float32 [4 U]."""
    reverse: bool
    """Whether it reads from the sequence's end to its start."""
    recurrent_activation: str = "sigmoid"
    """Activation of the gates, one of `HARD_SIGMOIDS`."""

    def __post_init__(self) -> None:
        units = self.units
        shapes = [
            list(weights.shape) for weights in (self.kernel, self.recurrent_kernel, self.bias)
        ]
        if any(shape[-1] != 4 * units for shape in shapes):
            raise ExportError(
                f"An LSTM of {units} units has weights of the shapes "
                f"{', '.join(map(str, shapes))}; each must end in {4 * units}."
            )
        if self.recurrent_activation not in HARD_SIGMOIDS:
            raise ExportError(
                f"An LSTM's recurrent activation is {self.recurrent_activation!r}; choose among "
                f"{', '.join(HARD_SIGMOIDS)}."
            )

    @property
    def units(self) -> int:
        """U, the width of the output."""
        return int(self.recurrent_kernel.shape[0])


class Recurrence(Protocol):
    """Runs LSTMs over sequences, as operations that a format's converter understands."""

    def __call__(self, sequence: Any, directions: Sequence[Direction]) -> list[Any]:
        """Run one or two LSTMs of equal width over the same inputs.

        sequence: float32 [rows, T, I]. Returns the outputs of each, float32 [rows, T, U], in the
        sequence's order whichever way it was read.
        """
        ...


def directions_of(layer: Any) -> list[Direction]:
    """Give the one LSTM that a Keras `LSTM` layer is, or the two of a `Bidirectional` around one.

    Gates with another activation than Keras' own must be a function with a name in
    `HARD_SIGMOIDS`. Raises `ExportError` as `Direction` does.
    """
    backward = getattr(layer, "backward_layer", None)
    layers = [layer] if backward is None else [layer.forward_layer, backward]
    return [
        Direction(
            kernel=one.cell.kernel,
            recurrent_kernel=one.cell.recurrent_kernel,
            bias=one.cell.bias,
            reverse=place == 1,
            recurrent_activation=one.cell.recurrent_activation.__name__,
        )
        for place, one in enumerate(layers)
    ]
