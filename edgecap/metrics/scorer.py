"""All metrics at once, on the same captions and the same draws of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edgecap.metrics.bleu import CorpusBleu, SentenceMeanBleu1
from edgecap.metrics.captions import Tokens, check_candidates, check_references
from edgecap.metrics.cider import CiderD
from edgecap.metrics.meteor import MeteorExactStem
from edgecap.metrics.metric import Floats, Metric, table_of
from edgecap.metrics.resampling import bootstrap, paired_bootstrap, randomisation_p
from edgecap.metrics.rouge import RougeL

METRICS: tuple[type[Metric], ...] = (
    CorpusBleu,
    RougeL,
    MeteorExactStem,
    CiderD,
    SentenceMeanBleu1,
)
"""Every metric, in the order of tables. A new one is a module and a line here."""


@dataclass(frozen=True)
class Score:
    """One score of a set of captions."""

    value: float
    """The score, in its metric's scale."""
    low: float
    """Lower end of its 95 % bootstrap interval."""
    high: float
    """Upper end."""


@dataclass(frozen=True)
class Difference:
    """How much higher one system scores than another on the same images."""

    value: float
    """Ours minus theirs."""
    low: float
    """Lower end of the 95 % paired bootstrap interval."""
    high: float
    """Upper end."""
    p: float
    """Two-sided p value by approximate randomisation."""


_Each = TypeVar("_Each")


class CaptionScorer:
    """Scores sets of captions by all metrics against references that are read once."""

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        """Read the references.

        references: for each image, one or more captions as words.

        Raises:
            EdgecapError: an image has no reference, or one is a string.
        """
        check_references(references)
        self._images = len(references)
        self._metrics = [metric(references) for metric in METRICS]

    def score(self, candidates: Sequence[Tokens], seed: int = 0) -> dict[str, list[Score]]:
        """Score one caption for each image.

        seed: of the draws of images.

        Returns:
            By the metric's key, a score for each of its labels (four for BLEU).

        Raises:
            EdgecapError: there is no caption, not one for each image, or one is a string.
        """
        table = self._table(candidates)
        values = self._scores(table.sum(axis=0))
        low, high = bootstrap(table, self._scores, seed=seed)
        return _by_metric([Score(*each) for each in _numbers(values, low, high)])

    def compare(
        self, candidates: Sequence[Tokens], baseline: Sequence[Tokens], seed: int = 0
    ) -> dict[str, list[Difference]]:
        """Compare two systems' captions of the same images.

        candidates: ours; baseline: theirs; seed: of the draws and of the coins.

        Returns:
            By the metric's key, a difference for each of its labels.

        Raises:
            EdgecapError: as for `score`.
        """
        ours, theirs = self._table(candidates), self._table(baseline)
        values = self._scores(ours.sum(axis=0)) - self._scores(theirs.sum(axis=0))
        low, high = paired_bootstrap(ours, theirs, self._scores, seed=seed)
        p = randomisation_p(ours, theirs, self._scores, seed=seed)
        return _by_metric([Difference(*each) for each in _numbers(values, low, high, p)])

    def consensus(self, candidates: Sequence[Tokens]) -> list[float]:
        """Give each caption's own CIDEr-D, whose mean is the score.

        Raises:
            EdgecapError: as for `score`.
        """
        check_candidates(candidates, self._images)
        (metric,) = (each for each in self._metrics if isinstance(each, CiderD))
        return [metric.row(image, caption)[0] for image, caption in enumerate(candidates)]

    def _table(self, candidates: Sequence[Tokens]) -> Floats:
        """Give all metrics' rows side by side, [images, columns]."""
        check_candidates(candidates, self._images)
        return np.concatenate([table_of(each, candidates) for each in self._metrics], axis=1)

    def _scores(self, sums: Floats) -> Floats:
        """Score summed rows by all metrics, [..., columns] -> [..., scores]."""
        ends = np.cumsum([metric.columns for metric in METRICS])[:-1]
        parts = np.split(sums, ends, axis=-1)
        scores = [metric.scores(part) for metric, part in zip(METRICS, parts, strict=True)]
        return np.concatenate(scores, axis=-1)


def _numbers(*columns: Floats) -> list[tuple[float, ...]]:
    """Turn columns into rows of plain numbers."""
    return [tuple(map(float, row)) for row in zip(*columns, strict=True)]


def _by_metric(scores: Sequence[_Each]) -> dict[str, list[_Each]]:
    """Deal scores out to the metrics whose labels they are."""
    dealt = iter(scores)
    return {metric.key: [next(dealt) for _ in metric.labels] for metric in METRICS}
