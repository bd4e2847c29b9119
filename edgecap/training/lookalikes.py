"""For each photograph, those that look most like it: what its caption should not fit as well.

A caption that fits many photographs scores well everywhere and says little. Judging it against the
references of similar ones too is after Dai and Lin: "Contrastive Learning for Image Captioning",
NeurIPS 2017 (arXiv:1710.02534), and Luo et al.: "Discriminability Objective for Training
Descriptive Captions", CVPR 2018 (arXiv:1803.04376).
"""

from __future__ import annotations

import numpy as np

_NEAREST = 20
"""Of how many nearest ones some are drawn: enough that none is learned by heart."""

_DRAWN = 2
"""How many are drawn for a photograph each time."""

_TOGETHER = 1024
"""Rows of the table of similarities that are made at a time."""


class Lookalikes:
    """Draws photographs that resemble one."""

    def __init__(self, features: np.ndarray) -> None:
        """Find the nearest by the cosine of standardised features.

        features: float32 [images, F], of two images at least.
        """
        spread = features.std(axis=0)
        standard = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
        lengths = np.linalg.norm(standard, axis=1, keepdims=True)
        directions = standard / np.where(lengths > 0, lengths, 1)
        count = min(_NEAREST, len(features) - 1)
        self._nearest = np.concatenate(
            [
                self._nearest_of(directions, start, count)
                for start in range(0, len(directions), _TOGETHER)
            ]
        )

    def draw(self, images: np.ndarray, dice: np.random.Generator) -> np.ndarray:
        """Give int [images, drawn]: for each image others like it, none of them twice."""
        places = dice.random((len(images), self._nearest.shape[1])).argsort(axis=1)[:, :_DRAWN]
        drawn: np.ndarray = np.take_along_axis(self._nearest[images], places, axis=1)
        return drawn

    @staticmethod
    def _nearest_of(directions: np.ndarray, start: int, count: int) -> np.ndarray:
        some = directions[start : start + _TOGETHER]
        likeness = some @ directions.T
        # Nothing is like itself.
        rows = np.arange(len(some))
        likeness[rows, start + rows] = -np.inf
        nearest: np.ndarray = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        return nearest
