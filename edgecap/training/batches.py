"""Captions as training batches, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecap_runtime.vocabulary import Vocabulary


class CaptionBatches:
    """Batches of captions in random order, as numpy arrays for any Keras backend.

    Captions of one length are not put together, though it would save a third of the time: an image
    doesn't tell how long its caption is, and with batches of one length at a time dev BLEU-1 was
    seen to swing by eight points from epoch to epoch.
    """

    def __init__(
        self,
        features: np.ndarray,
        captions: Sequence[Sequence[Sequence[str]]],
        vocabulary: Vocabulary,
        *,
        batch: int,
        longest: int,
        seed: int,
    ) -> None:
        """Encode the captions.

        Args:
            features: float32 [views, images, F]; a view is chosen by chance for each caption.
            captions: for each image, its captions, each a sequence of words.
            vocabulary: gives the ids; must have a padding id.
            batch: captions a batch.
            longest: words kept of a caption.
            seed: of the order.
        """
        self._features = features
        self._batch = batch
        self._seed = seed
        pairs = [
            (image, [*vocabulary.ids_of(words[:longest]), vocabulary.end_id])
            for image, several in enumerate(captions)
            for words in several
        ]
        self._images = np.array([image for image, _ in pairs], np.int32)
        self._lengths = np.array([len(ids) for _, ids in pairs], np.int32)
        self._padding = vocabulary.padding_id or 0
        width = int(self._lengths.max())
        self._targets = np.full((len(pairs), width), self._padding, np.int32)
        for row, (_, ids) in enumerate(pairs):
            self._targets[row, : len(ids)] = ids
        starts = np.full((len(pairs), 1), vocabulary.start_id, np.int32)
        self._inputs = np.concatenate([starts, self._targets[:, :-1]], axis=1)
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The epoch whose order is in force; setting it shuffles."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = value
        dice = np.random.default_rng((self._seed, value))
        self._order = dice.permutation(len(self._lengths))
        self._views = dice.integers(0, len(self._features), len(self._lengths))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        """Give one batch.

        Returns:
            Inputs {"features" [rows, F], "ids" [rows, T]}, targets int32 [rows, T], and weights
            float32 [rows, T]: 1 at words, 0 at padding.
        """
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        length = int(self._lengths[rows].max())
        targets = self._targets[rows, :length]
        inputs = {
            "features": self._features[self._views[rows], self._images[rows]],
            "ids": self._inputs[rows, :length],
        }
        weights = (np.arange(length) < self._lengths[rows, None]).astype(np.float32)
        return inputs, targets, weights
