"""Rounding weights to a grid so that a layer's answers change least on what it is really given.

Arrays here are matrices [outputs, inputs]; layers without one are brought into that form first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "INT4_LARGEST",
    "Moments",
    "best_scales",
    "pack_pairs",
    "pooled",
    "round_by_moments",
    "rounding_shift",
    "sample_patches",
]

Floats = NDArray[np.float64]

INT4_LARGEST = 7
"""Integers of 4 bits go from its negative to it."""

_DAMPING = 0.01
_BLOCK = 128
_PATCHES = 100
_TOGETHER = 256
"""Vectors that are multiplied at once."""
_SHRINKING = np.linspace(0.5, 1.0, 26)


class Moments:
    """First and second moments of what a layer is given, gathered picture by picture."""

    def __init__(self) -> None:
        self.count = 0
        """How many vectors."""
        self._total: Floats | float = 0.0
        self._products: Floats | float = 0.0
        # A word is one vector: its outer product alone would be added to millions of numbers.
        self._waiting: list[NDArray[np.float32]] = []

    def add(self, vectors: NDArray[np.float32], *, second: bool) -> None:
        """Add vectors, [n, inputs]; second: the second moments are wanted too."""
        self.count += len(vectors)
        self._total = self._total + vectors.sum(axis=0, dtype=np.float64)
        if second:
            self._waiting.append(np.array(vectors))
            if sum(map(len, self._waiting)) >= _TOGETHER:
                self._multiply()

    def with_those_of(self, other: Moments) -> Moments:
        """Give the moments of both lots of vectors together."""
        both = Moments()
        both.count = self.count + other.count
        both._total = self._total + other._total
        both._products = self._multiply() + other._multiply()
        return both

    def _multiply(self) -> Floats | float:
        """Return the sum of all outer products, [inputs, inputs]; 0 where none was wanted."""
        if self._waiting:
            # float32 products of a few hundred vectors, summed up in float64.
            vectors = np.concatenate(self._waiting)
            self._products = self._products + (vectors.T @ vectors).astype(np.float64)
            self._waiting.clear()
        return self._products

    @property
    def mean(self) -> Floats:
        """The mean vector, [inputs]."""
        return np.asarray(self._total / self.count)

    def second(self, *, centred: bool) -> Floats:
        """Second moments, [inputs, inputs], about the mean or about 0."""
        about_zero = np.asarray(self._multiply() / self.count)
        return about_zero - np.outer(self.mean, self.mean) if centred else about_zero


def pooled(seen: Iterable[tuple[NDArray[Any], Moments, bool]]) -> list[tuple[Moments, bool]]:
    """Give for each layer the moments of all layers that have the same weights.

    Weights that two graphs share, as a first state and a step do, are then rounded alike, and so
    are stored once.

    seen: each layer's weights and moments, and whether it may be rounded about the mean: all that
    share the weights must.
    """
    keys: list[tuple[Any, bytes]] = []
    together: dict[tuple[Any, bytes], tuple[Moments, bool]] = {}
    for weights, moments, centred in seen:
        key = (weights.shape, weights.tobytes())
        keys.append(key)
        if key in together:
            others, all_centred = together[key]
            together[key] = others.with_those_of(moments), all_centred and centred
        else:
            together[key] = moments, centred
    return [together[key] for key in keys]


def sample_patches(
    image: NDArray[np.float32],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    same: bool,
    random: np.random.Generator,
    count: int = _PATCHES,
) -> NDArray[np.float32]:
    """Give some of what a convolution reads at its places, [n, height, width, channels].

    image: [H, W, channels]; kernel and stride: height, width; same: whether the edges are padded
    with zeros as TensorFlow's "SAME" does.
    """
    if same:
        margins = []
        for size, wide, step in zip(image.shape, kernel, stride, strict=False):
            missing = max((-(-size // step) - 1) * step + wide - size, 0)
            margins.append((missing // 2, missing - missing // 2))
        image = np.pad(image, (*margins, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel, (0, 1))
    windows = windows[:: stride[0], :: stride[1]]
    rows, columns = windows.shape[:2]
    places = random.choice(rows * columns, min(count, rows * columns), replace=False)
    return np.ascontiguousarray(
        windows[places // columns, places % columns].transpose(0, 2, 3, 1), np.float32
    )


def best_scales(weights: Floats, importance: Floats, largest: int) -> Floats:
    """Give a scale per output, [outputs], that clips where that loses least.

    importance: [inputs], how much an error in each input's weight counts (mean square of the
    input); largest: the largest integer of the grid, whose smallest is its negative.
    """
    full = np.abs(weights).max(axis=1) / largest
    full[full == 0] = 1
    best: Floats = full.copy()
    least = np.full(len(weights), np.inf)
    for share in _SHRINKING:
        scales = (full * share)[:, None]
        rounded = np.clip(np.rint(weights / scales), -largest, largest) * scales
        lost = np.square(rounded - weights) @ importance
        better = lost < least
        least[better], best[better] = lost[better], scales[better, 0]
    return best


def round_by_moments(weights: Floats, second: Floats, scales: Floats, largest: int) -> Floats:
    """Round to integers in [-largest, largest], [outputs, inputs].

    Input by input, what rounding changes is made up for in the weights not yet rounded, as far as
    inputs go together (GPTQ, Frantar et al. 2023, https://arxiv.org/abs/2210.17323).

    second: second moments of the inputs, [inputs, inputs]; scales: [outputs], or one for each
    weight, [outputs, inputs].
    """
    left = weights.copy()
    inputs = left.shape[1]
    steps = np.broadcast_to(scales if scales.ndim == 2 else scales[:, None], left.shape)
    hessian = second.copy()
    diagonal = np.arange(inputs)
    strength = hessian[diagonal, diagonal]
    hessian[diagonal, diagonal] += _DAMPING * strength.mean() + 1e-12
    # The upper Cholesky factor of the inverse holds what each step needs.
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
    integers = np.empty_like(left)
    for first in range(0, inputs, _BLOCK):
        last = min(first + _BLOCK, inputs)
        errors = np.empty((len(left), last - first))
        for place in range(first, last):
            step = steps[:, place]
            column = np.clip(np.rint(left[:, place] / step), -largest, largest)
            integers[:, place] = column
            error = (left[:, place] - column * step) / factor[place, place]
            left[:, place:last] -= np.outer(error, factor[place, place:last])
            errors[:, place - first] = error
        left[:, last:] -= errors @ factor[first:last, last:]
    return integers


def rounding_shift(weights: Floats, rounded: Floats, mean: Floats) -> Floats:
    """Give how far rounding moves the mean of each output, [outputs].

    Taken from the bias it is made good (Nagel et al. 2019, https://arxiv.org/abs/1906.04721,
    section 4.2, with means that were measured).
    """
    return np.asarray((rounded - weights) @ mean)


def pack_pairs(values: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Put two integers of 4 bits into a byte, the first one low: [..., 2 n] to [..., n]."""
    halves = (values & 15).astype(np.uint8)
    return (halves[..., ::2] | halves[..., 1::2] << 4).astype(np.uint8)
