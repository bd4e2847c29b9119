"""Caption scores: corpus BLEU as papers report it, sentence-mean BLEU-1 as notebooks do.

The two are different numbers for the same captions: always say which one is shown. All scores
are on the scale 0 to 100. Candidates and references are lists of tokens that went through the
same tokenisation (`edgecap.data.tokenise`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.translate.bleu_score import brevity_penalty, closest_ref_length
from nltk.util import ngrams

from edgecap_runtime.errors import EdgecapError, OptionError

__all__ = ["UnigramJudge", "corpus_bleu", "paired_bootstrap_bleu4", "sentence_mean_bleu1"]

Tokens = Sequence[str]

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
    n-gram for a candidate that is too short to have any, which COCO and multi-bleu do not.

    Args:
        candidates: one tokenised caption for each image.
        references: for each image, one or more tokenised captions.

    Raises:
        EdgecapError: there is no candidate, the numbers of candidates and references differ, an
            image has no reference, or a caption is a string and not a list of tokens.
    """
    counts = _count_table(candidates, references).sum(axis=0)
    first, second, third, fourth = (_bleu(counts, order) for order in range(1, _ORDERS + 1))
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
    _check(candidates, references)
    scores = [
        UnigramJudge(of_image).score(candidate)
        for candidate, of_image in zip(candidates, references, strict=True)
    ]
    return 100 * float(np.mean(scores))


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


def paired_bootstrap_bleu4(
    candidates: Sequence[Tokens],
    baseline: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
    seed: int = 0,
    samples: int = 1000,
) -> dict[str, float]:
    """Return how much higher the candidates' corpus BLEU-4 is than the baseline's.

    Paired bootstrap of Koehn, "Statistical Significance Tests for Machine Translation
    Evaluation" (EMNLP 2004): images are drawn with replacement, both systems are scored on the
    same draw, and the interval holds the middle 95 % of the differences.

    Args:
        candidates: one tokenised caption for each image.
        baseline: another system's captions of the same images.
        references: for each image, one or more tokenised captions.
        seed: of the draws; the same seed gives the same interval.
        samples: how many draws.

    Returns:
        `difference` on all images, and `low` and `high`, the interval's ends, in BLEU points
        (scale 0 to 100; negative where the candidates are worse).

    Raises:
        EdgecapError: as for `corpus_bleu`.
        OptionError: `samples` is less than 1.
    """
    if samples < 1:
        raise OptionError(f"The number of bootstrap samples is {samples}; use 1 or more.")
    ours = _count_table(candidates, references)
    theirs = _count_table(baseline, references)
    images = len(ours)
    # How often each image is in each draw: one matrix product then sums the counts of all draws.
    draws = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), size=samples
    )
    differences = [
        _bleu(our_counts, 4) - _bleu(their_counts, 4)
        for our_counts, their_counts in zip(draws @ ours, draws @ theirs, strict=True)
    ]
    low, high = np.percentile(differences, [2.5, 97.5])
    difference = _bleu(ours.sum(axis=0), 4) - _bleu(theirs.sum(axis=0), 4)
    return {"difference": difference, "low": float(low), "high": float(high)}


def _bleu(counts: np.ndarray, order: int) -> float:
    """Return BLEU of n-grams up to `order` from one row (or a sum of rows) of the table."""
    matches = counts[_MATCHES][:order]
    totals = counts[_TOTALS][:order]
    if not matches.all():  # also where there is no n-gram at all, as matches <= totals
        return 0.0
    precision = float(np.exp(np.mean(np.log(matches / totals))))
    brevity = float(brevity_penalty(int(counts[_REFERENCE_LENGTH]), int(counts[_CANDIDATE_LENGTH])))
    return 100 * brevity * precision


def _count_table(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> np.ndarray:
    """Return all that BLEU needs to know of each image, int64 [images, 10]."""
    _check(candidates, references)
    rows = [
        _count_row(candidate, of_image)
        for candidate, of_image in zip(candidates, references, strict=True)
    ]
    return np.array(rows, dtype=np.int64)


def _check(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> None:
    """Raise `EdgecapError` for captions that can't be scored; see `corpus_bleu`."""
    if not candidates:
        raise EdgecapError("There is no caption to score; give at least one.")
    if len(candidates) != len(references):
        raise EdgecapError(
            f"The number of captions ({len(candidates)}) is not that of lists of references "
            f"({len(references)}); give one list of references for each caption."
        )
    for index, (candidate, of_image) in enumerate(zip(candidates, references, strict=True)):
        if not of_image:
            raise EdgecapError(f"Image {index} has no reference caption; give at least one.")
        for caption in (candidate, *of_image):
            if isinstance(caption, str):
                raise EdgecapError(
                    f"A caption of image {index} is the string {caption[:40]!r}; give a list of "
                    "tokens."
                )


def _count_row(candidate: Tokens, references: Sequence[Tokens]) -> list[int]:
    matches, totals = [], []
    for order in range(1, _ORDERS + 1):
        said = Counter(ngrams(candidate, order))
        allowed: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            allowed |= Counter(ngrams(reference, order))
        matches.append((said & allowed).total())
        totals.append(said.total())
    reference_length = closest_ref_length(references, len(candidate))
    return [*matches, *totals, len(candidate), reference_length]
