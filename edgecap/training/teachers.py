"""What the decoder is to answer: what people wrote, or that and what teachers would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgecap.training.loss import SmoothedCrossEntropy, SoftCrossEntropy
from edgecap.training.options import TrainingOptions

_AFTER = {"captions": "prefix_logits", "prefixes": "next_logits"}
"""A decoder's method that answers after each word of a caption, or after all of a prefix."""


class Teacher:
    """A trained decoder with the features that its own encoder made of the training split."""

    def __init__(self, decoder: Any, features: np.ndarray, learns_from: str) -> None:
        """Compile it.

        Args:
            decoder: a trained `keras.Model` of the pupil's vocabulary.
            features: float32 [images, F], the whole photographs.
            learns_from: as the pupil's decoder family says, "captions" or "prefixes".
        """
        self._features = features
        seen = keras.Input((features.shape[1],), name="features")
        ids = keras.Input((None,), dtype="int32", name="ids")
        logits = getattr(decoder, _AFTER[learns_from])(seen, ids)
        if learns_from == "prefixes":
            logits = keras.ops.expand_dims(logits, 1)
        likely = keras.ops.softmax(logits, axis=-1)
        self._model = keras.Model({"features": seen, "ids": ids}, likely)
        self._model.compile(jit_compile=False)

    def answer(self, images: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Give probabilities float32 [rows, T, V] after the words ids int32 [rows, T]."""
        inputs = {"features": self._features[images], "ids": ids}
        return np.asarray(self._model.predict_on_batch(inputs), np.float32)


class Answers:
    """Makes a batch's targets, for the loss that goes with them."""

    def __init__(
        self, options: TrainingOptions, vocabulary_size: int, teachers: Sequence[Teacher] = ()
    ) -> None:
        self._options = options
        self._size = vocabulary_size
        self._teachers = teachers

    def loss(self) -> keras.losses.Loss:
        """Give the loss that takes what `of` gives."""
        if self._teachers:
            return SoftCrossEntropy()
        return SmoothedCrossEntropy(self._options.label_smoothing)

    def of(self, images: np.ndarray, ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give what the decoder is to answer.

        Args:
            images: int [rows], places in the training split.
            ids: int32 [rows, T], the words so far as people wrote them.
            targets: int32 [rows, T] (or [rows, 1] after a prefix), the words that follow.

        Returns:
            The targets themselves, or probabilities float32 [rows, T, V]: the people's answer,
            smoothed, and the mean of the teachers'.
        """
        if not self._teachers:
            return targets
        share, smoothing = self._options.teaching, self._options.label_smoothing
        mean = sum(teacher.answer(images, ids) for teacher in self._teachers) / len(self._teachers)
        wanted = np.asarray(share * mean + (1 - share) * smoothing / self._size, np.float32)
        places = targets[..., None]
        own = np.take_along_axis(wanted, places, -1) + (1 - share) * (1 - smoothing)
        np.put_along_axis(wanted, places, own.astype(np.float32), -1)
        return wanted
