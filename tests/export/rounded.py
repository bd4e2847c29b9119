"""What int8 may do to the tiny LSTM's numbers: its arithmetic in numpy, with random roundings.

A number stored in steps is off by a uniform share of half a step either way. Weights and what goes
into a product are rounded so, each on its own; drawn often, that gives the spread of each result,
whatever the kernel, the processor and the order of its sums. Ranges are those of a whole tensor,
the coarsest that a format takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["bounds", "first_state", "step"]

_DRAWS = 200
_SIGMAS = 6
"""A sum of many roundings is beyond that once in 5 * 10**8 times."""
_FLOAT = 1e-4
"""What float32 arithmetic adds, as the files in float32 are held to."""


class Dice:
    """Rounds at random, or not at all without a seed."""

    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else np.random.default_rng(seed)

    def round(self, values, steps):
        if self._random is None:
            return values
        return values + self._random.uniform(-0.5, 0.5, np.shape(values)) * steps

    def weights(self, values):
        """127 steps on either side of 0."""
        return self.round(values, np.abs(values).max() / 127)

    def product(self, vectors, kernel, bias):
        """255 steps between the least and the most of the vectors, 0 among them."""
        span = max(vectors.max(), 0) - min(vectors.min(), 0)
        return self.round(vectors, span / 255) @ self.weights(kernel) + bias


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


def _cell(decoder, vectors, hidden, carried, dice):
    kernel, recurrent, bias = (np.asarray(item, np.float64) for item in decoder.lstm.cell.weights)
    both = np.concatenate([vectors, hidden], axis=1)
    gates = dice.product(both, np.concatenate([kernel, recurrent]), bias)
    into, kept, new, out = np.split(gates, 4, axis=1)
    carried = _sigmoid(kept) * carried + _sigmoid(into) * np.tanh(new)
    return _sigmoid(out) * np.tanh(carried), carried


def _dense(layer, vectors, dice):
    kernel, bias = (np.asarray(item, np.float64) for item in layer.weights)
    return dice.product(vectors, kernel, bias)


def first_state(decoder, features, dice) -> dict[str, np.ndarray]:
    """The image, then one turn of the cell from zeros; features [images, F]."""
    image = _dense(decoder.image, features.astype(np.float64), dice)
    zeros = np.zeros((len(features), decoder.state_spec["h"]))
    hidden, carried = _cell(decoder, image, zeros, zeros, dice)
    return {"h": hidden, "c": carried}


def step(decoder, ids, state, dice) -> dict[str, np.ndarray]:
    """One word [rows] on a state, each [rows, U]."""
    vectors = dice.weights(np.asarray(decoder.embedding_table, np.float64))[ids]
    hidden, carried = _cell(decoder, vectors, state["h"], state["c"], dice)
    logits = _dense(decoder.output, hidden, dice)
    return {"logits": logits, "next_state_h": hidden, "next_state_c": carried}


Compute = Callable[[Dice], dict[str, np.ndarray]]


def bounds(compute: Compute, recipe: str) -> dict[str, np.ndarray]:
    """How far each number may be from Keras', by name; `compute` is one of the above with a dice.

    For float32 no more than its own arithmetic.
    """
    plain = compute(Dice(None))
    if recipe == "float32":
        return {name: np.full(value.shape, _FLOAT) for name, value in plain.items()}
    draws = [compute(Dice(seed)) for seed in range(_DRAWS)]
    # About the exact value, so that a shift of the mean counts as well.
    return {
        name: _FLOAT
        + _SIGMAS * np.sqrt(np.mean([(draw[name] - value) ** 2 for draw in draws], axis=0))
        for name, value in plain.items()
    }
