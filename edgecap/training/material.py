"""What the phases of a training learn from and are scored by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecap.captioner import TrainedCaptioner
from edgecap.training.batches import Words
from edgecap.training.photographs import Photographs
from edgecap.training.teachers import Teacher


@dataclass
class Material:
    """Features, captions and photographs of one training."""

    features: np.ndarray
    """Float32 [views, images, F] of train; made anew once the encoder has learned."""

    dev_features: np.ndarray
    """Float32 [images, F] of dev; likewise."""

    words: Words
    """The captions of train."""

    dev_words: Words
    """The captions of dev."""

    photographs: Photographs
    """Where the features come from."""

    teachers: Sequence[Teacher] = ()
    """Whose answers the words are learned from too."""

    def encode_anew(self, captioner: TrainedCaptioner) -> None:
        """Take the features of the captioner's encoder as it is now."""
        self.features, self.dev_features = self.photographs.features(captioner.encoder)
