"""What one epoch of training tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[[int, int], None]
"""Called with (batches or rounds done, in all)."""


@dataclass(frozen=True)
class Learned:
    """What one epoch of a phase tells."""

    learning_rate: float
    """Adam's, at its end."""

    loss: float | None = None
    """Mean training loss a word, smoothing included."""

    reward: float | None = None
    """Mean reward of the captions that were sampled."""
