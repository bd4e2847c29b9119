"""What a training makes small, in keras.ops."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class SmoothedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """(1 - e) * -log p(word) + e * mean over the vocabulary of -log p.

    Label smoothing of Szegedy et al. 2016 (arXiv:1512.00567), section 7, written without the
    one-hot targets, which would be a [rows, T, V] array. Averaged over words, not captions: the
    weights of padding are 0.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__(name="smoothed_cross_entropy", reduction="mean_with_sample_weight")
        self.smoothing = smoothing

    def call(self, targets: Any, logits: Any) -> Any:
        """Targets int32 [rows, T] and logits float32 [rows, T, V] to losses [rows, T]."""
        logs = ops.log_softmax(logits, axis=-1)
        likely = -_of_targets(logs, targets)
        return (1 - self.smoothing) * likely - self.smoothing * ops.mean(logs, axis=-1)


class SoftCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """-sum over the vocabulary of q * log p, averaged over words as `SmoothedCrossEntropy` is."""

    def __init__(self) -> None:
        super().__init__(name="soft_cross_entropy", reduction="mean_with_sample_weight")

    def call(self, targets: Any, logits: Any) -> Any:
        """Probabilities q and logits, both float32 [rows, T, V], to losses [rows, T]."""
        return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)


class WeighedLikelihood(keras.losses.Loss):  # type: ignore[misc]
    """Sum over words of -weight * log p(word); a weight may be negative."""

    def __init__(self) -> None:
        super().__init__(name="weighed_likelihood", reduction="sum")

    def call(self, targets: Any, logits: Any) -> Any:
        """Targets int32 [rows, T] and logits float32 [rows, T, V] to losses [rows, T]."""
        return -_of_targets(ops.log_softmax(logits, axis=-1), targets)


def _of_targets(logs: Any, targets: Any) -> Any:
    """Pick each target's value: logs [rows, T, V] and targets [rows, T] to [rows, T]."""
    places = ops.expand_dims(ops.cast(targets, "int32"), -1)
    return ops.squeeze(ops.take_along_axis(logs, places, axis=-1), -1)
