"""Corpus BLEU as papers report it, and sentence-mean BLEU-1 as notebooks do.

The two are different numbers for the same captions: always say which one is shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.translate.bleu_score import brevity_penalty, closest_ref_length
from nltk.util import ngrams

from edgecap.metrics.captions import Tokens
from edgecap.metrics.metric import Floats, Metric, corpus_scores

_ORDERS = 4
# Columns of the table of counts: clipped n-gram matches, n-grams in the candidate, two lengths.
_MATCHES = slice(0, _ORDERS)
_TOTALS = slice(_ORDERS, 2 * _ORDERS)
_CANDIDATE_LENGTH = 2 * _ORDERS
_REFERENCE_LENGTH = 2 * _ORDERS + 1


def corpus_bleu(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> tuple[float, float, float, float]:
    """Return corpus BLEU-1, BLEU-2, BLEU-3 and BLEU-4 (0 to 100), without smoothing.

    Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (ACL 2002),
    with the reference length closest to the candidate's (the shorter one of two equally close),
    as the COCO caption evaluation and multi-bleu.perl have it. A corpus without any matching
    n-gram of some order has a BLEU of 0 from that order on.

    nltk's own `corpus_bleu` agrees where every candidate has four words or more; it counts one
    n-gram for a candidate that is too short to have any, which COCO and multi-bleu do not. COCO
    adds 1e-15 to the matches and 1e-9 to the n-grams, which shows where nothing matches alone.

    Args:
        candidates: one tokenised caption for each image.
        references: for each image, one or more tokenised captions.

    Raises:
        EdgecapError: there is no candidate, the numbers of candidates and references differ, an
            image has no reference, or a caption is a string and not a list of tokens.
    """
    first, second, third, fourth = corpus_scores(CorpusBleu, candidates, references).tolist()
    return first, second, third, fourth


def sentence_mean_bleu1(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> float:
    """Return the mean over images of each caption's own BLEU-1 (0 to 100).

    It is what captioning notebooks call "BLEU" (nltk's `sentence_bleu` with weights (1, 0, 0, 0),
    averaged); it is no corpus BLEU and can't be compared with the figures in papers.

    Raises:
        EdgecapError: as for `corpus_bleu`.
    """
    return 100 * float(corpus_scores(SentenceMeanBleu1, candidates, references)[0])


class CorpusBleu(Metric):
    """Corpus BLEU-1 to 4, 0 to 100; see `corpus_bleu`."""

    key = "corpus_bleu"
    labels = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
    digits = 1
    decimals = 3
    columns = 2 * _ORDERS + 2

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        self._references = references
        self._allowed = [
            [_most_often(of_image, order) for order in range(1, _ORDERS + 1)]
            for of_image in references
        ]

    def row(self, image: int, candidate: Tokens) -> list[float]:
        """Count n-grams: what `scores` needs to know of one image."""
        said = [Counter(ngrams(candidate, order)) for order in range(1, _ORDERS + 1)]
        allowed = self._allowed[image]
        matches = [
            sum(min(count, most[ngram]) for ngram, count in counts.items() if ngram in most)
            for counts, most in zip(said, allowed, strict=True)
        ]
        totals = [counts.total() for counts in said]
        closest = closest_ref_length(self._references[image], len(candidate))
        return [*matches, *totals, len(candidate), closest]

    @staticmethod
    def scores(sums: Floats) -> Floats:
        """Give BLEU-1 to 4 of summed counts, [..., 10] -> [..., 4]."""
        matches, totals = sums[..., _MATCHES], sums[..., _TOTALS]
        said, closest = sums[..., _CANDIDATE_LENGTH], sums[..., _REFERENCE_LENGTH]
        with np.errstate(divide="ignore", invalid="ignore"):
            # No match at some order leaves minus infinity (or no number) from there on.
            logarithms = np.cumsum(np.log(matches / totals), axis=-1) / np.arange(1, _ORDERS + 1)
            brevity = np.exp(np.minimum(0.0, 1 - closest / said))[..., None]
            bleu: Floats = 100 * np.nan_to_num(brevity * np.exp(logarithms))
        return bleu


class SentenceMeanBleu1(Metric):
    """Mean of the captions' own BLEU-1, 0 to 1, as notebooks print it."""

    key = "sentence_mean_bleu1"
    labels = ("sentence-mean BLEU-1",)
    digits = 4
    decimals = 5

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        self._judges = [UnigramJudge(of_image) for of_image in references]

    def row(self, image: int, candidate: Tokens) -> tuple[float, float]:
        """Give the caption's own BLEU-1, and 1."""
        return self._judges[image].score(candidate), 1.0


class UnigramJudge:
    """Scores captions of one image by BLEU-1 against its references, which are counted once."""

    def __init__(self, references: Sequence[Tokens]) -> None:
        self._references = references
        self._allowed: Counter[str] = Counter()
        for reference in references:
            self._allowed |= Counter(reference)

    def score(self, candidate: Tokens) -> float:
        """Give the caption's own BLEU-1, 0 to 1."""
        if not candidate:
            return 0.0
        matches = (Counter(candidate) & self._allowed).total()
        closest = closest_ref_length(self._references, len(candidate))
        return float(brevity_penalty(closest, len(candidate))) * matches / len(candidate)


class BleuJudge:
    """Scores captions of one image by BLEU-4, smoothed so that a caption alone has a score."""

    def __init__(self, references: Sequence[Tokens]) -> None:
        self._references = references
        self._allowed = [_most_often(references, order) for order in range(1, _ORDERS + 1)]

    def score(self, candidate: Tokens) -> float:
        """Give the caption's own BLEU-4, 0 to 1; one is added to the matches and n-grams of the
        orders above the first (Lin and Och 2004, "ORANGE", section 4)."""
        if not candidate:
            return 0.0
        logarithms = 0.0
        for order, allowed in enumerate(self._allowed, start=1):
            counts = Counter(ngrams(candidate, order))
            more = int(order > 1)
            matches = (counts & allowed).total() + more
            if not matches:
                return 0.0
            logarithms += math.log(matches / (counts.total() + more)) / _ORDERS
        closest = closest_ref_length(self._references, len(candidate))
        return float(brevity_penalty(closest, len(candidate))) * math.exp(logarithms)


def _most_often(references: Sequence[Tokens], order: int) -> Counter[tuple[str, ...]]:
    """Count how often each n-gram occurs in the reference that has it most often."""
    allowed: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        allowed |= Counter(ngrams(reference, order))
    return allowed
