"""Training a captioner's decoder on encoder features: batches, loss, loop, checkpoint, curve."""

from __future__ import annotations

from edgecap.training.loop import Trainer
from edgecap.training.options import TrainingOptions

__all__ = ["Trainer", "TrainingOptions"]
