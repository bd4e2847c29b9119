"""Which words people use of a photograph, told by its features alone.

A second objective beside the captions while an encoder learns, after Fang et al.: "From Captions to
Visual Concepts and Back", CVPR 2015 (arXiv:1411.4952), section 3, and Wu et al.: "What Value Do
Explicit High Level Concepts Have in Vision to Language Problems?", CVPR 2016 (arXiv:1506.01144).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from edgecap.training.batches import Words
from edgecap_runtime.vocabulary import Vocabulary

_LEAST = 1e-4
"""Share of captions below which a word counts as so often used: its logit must be finite."""


def named_words(captions: Words, vocabulary: Vocabulary) -> np.ndarray:
    """Give the share of each photograph's captions that use each word.

    Args:
        captions: for each image, its captions.
        vocabulary: the words that count; those that are never said are used by none.

    Returns:
        float32 [images, V], 0 to 1.
    """
    shares = np.zeros((len(captions), len(vocabulary)), np.float32)
    for image, several in enumerate(captions):
        for words in several:
            shares[image, list(set(vocabulary.ids_of(words)))] += 1 / len(several)
    shares[:, list(vocabulary.never_said)] = 0
    return shares


class Naming(keras.layers.Layer):  # type: ignore[misc]
    """A linear layer on the features, and what it has yet to learn."""

    def __init__(self, weight: float, shares: np.ndarray) -> None:
        """Begin by saying the same of every photograph.

        Args:
            weight: what the loss is multiplied by.
            shares: float32 [V], the mean share of captions that use each word.
        """
        super().__init__(name="naming")
        self._weight = weight
        likely = np.clip(shares, _LEAST, 1 - _LEAST)
        self.norm = keras.layers.LayerNormalization(center=False, scale=False, name="naming_norm")
        self.words = keras.layers.Dense(
            len(shares),
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(np.log(likely / (1 - likely))),
            name="naming_words",
        )
        # In nats a word that is used, as the captions' loss is.
        self._used = float(shares.sum())

    def call(self, features: Any, shares: Any) -> Any:
        """Give the weighed loss, a scalar.

        Args:
            features: float32 [images, F].
            shares: float32 [images, V], as `named_words` gives them.
        """
        logits = self.words(self.norm(features))
        # Binary cross-entropy with logits, in the form that can't overflow.
        losses = ops.relu(logits) - logits * shares + ops.softplus(-ops.abs(logits))
        return self._weight * ops.mean(ops.sum(losses, axis=-1)) / self._used
