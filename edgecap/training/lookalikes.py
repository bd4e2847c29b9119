"""For each photograph, those that look most like it: what its caption should not fit as well.

A caption that fits many photographs scores well everywhere and says little. Judging it against the
references of similar ones too is after Dai and Lin: "Contrastive Learning for Image Captioning",
NeurIPS 2017 (arXiv:1710.02534), and Luo et al.: "Discriminability Objective for Training
Descriptive Captions", CVPR 2018 (arXiv:1803.04376).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_NEAREST = 20
"""Of how many nearest ones some are drawn: enough that none is learned by heart."""

_DRAWN = 2
"""How many are drawn for a photograph each time."""

_TOGETHER = 2048
"""Images whose likeness to all others is found at a time."""

_COLUMNS = 8192
"""Features that are compared at a time: of Flickr8k a map that a decoder attends to is 3 GB, and
standardised all at once it would be so twice more."""


class Lookalikes:
    """Draws photographs that resemble one."""

    def __init__(self, features: np.ndarray) -> None:
        """Find the nearest by the cosine of standardised features.

        features: float32 [images, F], of two images at least.
        """
        count = min(_NEAREST, len(features) - 1)
        self._nearest = np.concatenate(
            [
                _nearest_of(features, slice(start, start + _TOGETHER), count)
                for start in range(0, len(features), _TOGETHER)
            ]
        )

    def draw(self, images: np.ndarray, dice: np.random.Generator) -> np.ndarray:
        """Give int [images, drawn]: for each image others like it, none of them twice."""
        places = dice.random((len(images), self._nearest.shape[1])).argsort(axis=1)[:, :_DRAWN]
        drawn: np.ndarray = np.take_along_axis(self._nearest[images], places, axis=1)
        return drawn


def _nearest_of(features: np.ndarray, rows: slice, count: int) -> np.ndarray:
    """Find the nearest of the images in `rows`: int [rows, count], the nearest in any order."""
    own = np.arange(len(features))[rows]
    likeness = np.zeros((len(own), len(features)), np.float32)
    squares = np.zeros(len(features), np.float32)
    for block in _standardised(features):
        likeness += block[rows] @ block.T
        squares += np.square(block).sum(axis=1)
    # How long a row itself is changes nothing in the order of the others.
    likeness /= np.where(squares > 0, np.sqrt(squares), 1)
    # Nothing is like itself.
    likeness[np.arange(len(own)), own] = -np.inf
    nearest: np.ndarray = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
    return nearest


def _standardised(features: np.ndarray) -> Iterator[np.ndarray]:
    """Give the features some columns at a time, each column by its mean and deviation."""
    for start in range(0, features.shape[1], _COLUMNS):
        some = features[:, start : start + _COLUMNS]
        spread = some.std(axis=0)
        yield (some - some.mean(axis=0)) / np.where(spread > 0, spread, 1)
