"""What one epoch of training tells, and how words are learned in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edgecap.training.batches import Batch

Report = Callable[[int, int], None]
"""Called with (batches or rounds done, in all)."""


@dataclass(frozen=True)
class Learned:
    """What one epoch of a phase tells."""

    learning_rate: float
    """Adam's, at its end."""

    loss: float | None = None
    """Mean training loss a word, smoothing and a second objective included."""

    reward: float | None = None
    """Mean reward of the captions that were sampled."""


def learn_words(
    model: Any,
    batches: Iterable[Batch],
    count: int,
    report: Report,
) -> float:
    """Learn from batches of inputs, targets and weights [rows, T]; gives the mean loss a word.

    count: of batches, for the report.
    """
    total = words = 0.0
    # Not `fit`: its TensorFlow path fixes the caption length to that of the first batches.
    for place, (inputs, targets, weights) in enumerate(batches):
        loss = model.train_on_batch(inputs, targets, sample_weight=weights)
        some = float(weights.sum())
        total, words = total + float(loss) * some, words + some
        report(place + 1, count)
    return total / words
