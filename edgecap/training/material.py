"""What the phases of a training learn from and are scored by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecap.features import Progress
from edgecap.training.batches import Words
from edgecap.training.photographs import Photographs
from edgecap.training.teachers import Teacher


@dataclass
class Material:
    """Features, captions and photographs of one training.

    Features are computed when they are first asked for: a map that a decoder attends to takes
    gigabytes and half an hour, which a training of the encoder alone has no use for.
    """

    encoder: Any
    """Where features come from: a Keras model, whose weights may be learned meanwhile."""

    words: Words
    """The captions of train."""

    dev_words: Words
    """The captions of dev."""

    photographs: Photographs
    """What is encoded."""

    teachers: Sequence[Teacher] = ()
    """Whose answers the words are learned from too."""

    progress: Progress | None = None
    """Called with (images done, images in all) while photographs are encoded."""

    _features: np.ndarray | None = field(default=None, init=False, repr=False)
    _dev_features: np.ndarray | None = field(default=None, init=False, repr=False)

    @property
    def features(self) -> np.ndarray:
        """Float32 [views, images, F] of train."""
        if self._features is None:
            self._features = self.photographs.train_features(self.encoder, self.progress)
        return self._features

    @property
    def dev_features(self) -> np.ndarray:
        """Float32 [images, F] of dev."""
        if self._dev_features is None:
            self._dev_features = self.photographs.dev_features(self.encoder, self.progress)
        return self._dev_features

    def encode(self) -> None:
        """Compute the features now."""
        _ = self.features, self.dev_features

    def forget_features(self) -> None:
        """Drop what the encoder said before it learned."""
        self._features = self._dev_features = None
