"""What a metric is: a row of figures for each caption, and scores of the sum of rows.

Every score here is a function of sums over images. So one matrix product scores a thousand draws of
images, and corpus BLEU is resampled as what it is, not as a mean of sentences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecap.metrics.captions import Tokens, check_candidates, check_references

Floats = NDArray[np.float64]


class Metric(ABC):
    """Scores captions of images whose references it has read."""

    key: ClassVar[str]
    """Its name in reports that programs read."""
    labels: ClassVar[tuple[str, ...]]
    """What its scores are called in tables."""
    digits: ClassVar[int]
    """Decimal places of its scores in tables."""
    decimals: ClassVar[int]
    """Decimal places of its scores in reports."""
    columns: ClassVar[int] = 2
    """Length of a row."""

    @abstractmethod
    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        """Read the references of each image."""

    @abstractmethod
    def row(self, image: int, candidate: Tokens) -> Sequence[float]:
        """Give all that the scores need to know of one image's caption.

        Most metrics give the caption's own score, and 1.
        """

    @staticmethod
    def scores(sums: Floats) -> Floats:
        """Score rows that were summed over images, [..., columns] -> [..., labels].

        Here it is the mean of the captions' own scores.
        """
        return sums[..., :1] / sums[..., 1:]


def figure_of(figures: Mapping[str, Any], metric: type[Metric], place: int) -> Any:
    """Take what stands for one of a metric's labels out of figures by metric.

    A metric of one label has its figure there itself, one of several has a sequence.
    """
    found = figures[metric.key]
    return found[place] if len(metric.labels) > 1 else found


def table_of(metric: Metric, candidates: Sequence[Tokens]) -> Floats:
    """Give the rows of all images' captions, float64 [images, columns]."""
    rows = [metric.row(image, candidate) for image, candidate in enumerate(candidates)]
    return np.array(rows, dtype=np.float64)


def corpus_scores(
    make: Callable[[Sequence[Sequence[Tokens]]], Metric],
    candidates: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
) -> Floats:
    """Score one caption for each image, float64 [labels].

    Args:
        make: makes the metric from the references.
        candidates: one caption for each image.
        references: for each image, one or more captions.

    Raises:
        EdgecapError: there is no candidate, the numbers of candidates and references differ, an
            image has no reference, or a caption is a string and not a list of tokens.
    """
    check_candidates(candidates, len(references))
    check_references(references)
    metric = make(references)
    return metric.scores(table_of(metric, candidates).sum(axis=0))
