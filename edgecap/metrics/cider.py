"""CIDEr-D: how much a caption has in common with what people say of the same picture.

Vedantam, Zitnick, Parikh: "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015
(arXiv:1411.5726), section 6: n-grams of one to four words weighed by tf-idf, clipped cosine
similarity, a Gaussian penalty on the difference of lengths. Words are not stemmed, as in the COCO
caption evaluation.

The scale is that evaluation's, 0 to 10, where a good captioner has .6 to 1.2; papers print 1 as
"100" or as "1.0".
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nltk.util import ngrams

from edgecap.metrics.captions import Tokens
from edgecap.metrics.metric import Metric, corpus_scores

Ngram = tuple[str, ...]

_ORDERS = 4
_SIGMA = 6.0
"""Standard deviation of the length penalty, in words."""


@dataclass(frozen=True)
class _Weighed:
    """A caption's n-grams as vectors, one for each order."""

    vectors: tuple[Mapping[Ngram, float], ...]
    """Tf-idf by n-gram."""
    norms: tuple[float, ...]
    """Euclidean length of each vector."""
    words: int
    """Words of the caption."""


class DocumentFrequencies:
    """In how many images' references each n-gram occurs: what makes it telling."""

    def __init__(self, references: Iterable[Sequence[Tokens]]) -> None:
        """Count.

        references: for each image of the corpus, its captions as words.
        """
        self._images = 0
        self._counts: Counter[Ngram] = Counter()
        for captions in references:
            self._images += 1
            self._counts.update({ngram for caption in captions for ngram in _all_ngrams(caption)})

    def judge(self, references: Sequence[Tokens]) -> ConsensusJudge:
        """Make the judge of one image's captions from its references."""
        return ConsensusJudge(self, references)

    def weighed(self, caption: Tokens) -> _Weighed:
        """Weigh a caption's n-grams by tf-idf."""
        total = math.log(max(self._images, 1))
        vectors = []
        for order in range(1, _ORDERS + 1):
            counts = Counter(ngrams(caption, order))
            vectors.append(
                {
                    ngram: count * (total - math.log(max(1, self._counts[ngram])))
                    for ngram, count in counts.items()
                }
            )
        norms = tuple(math.sqrt(sum(value**2 for value in each.values())) for each in vectors)
        return _Weighed(tuple(vectors), norms, len(caption))


class ConsensusJudge:
    """Scores captions of one image."""

    def __init__(self, frequencies: DocumentFrequencies, references: Sequence[Tokens]) -> None:
        self._frequencies = frequencies
        self._references = [frequencies.weighed(reference) for reference in references]

    def score(self, caption: Tokens) -> float:
        """Give the caption's CIDEr-D, 0 to 10."""
        said = self._frequencies.weighed(caption)
        total = sum(_similarity(said, reference) for reference in self._references)
        return 10 * total / len(self._references)


def cider_d(
    candidates: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
    frequencies: DocumentFrequencies | None = None,
) -> float:
    """Give the mean CIDEr-D of captions, 0 to 10.

    Args:
        candidates: one caption for each image.
        references: for each image, its references.
        frequencies: where document frequencies come from; by default from `references`, as in the
            COCO caption evaluation.

    Raises:
        EdgecapError: as for `corpus_bleu`.
    """
    made = functools.partial(CiderD, frequencies=frequencies)
    return float(corpus_scores(made, candidates, references)[0])


class CiderD(Metric):
    """Mean CIDEr-D, 0 to 10. Document frequencies stay those of all images when some are drawn."""

    key = "cider_d"
    labels = ("CIDEr-D",)
    digits = 3
    decimals = 5

    def __init__(
        self,
        references: Sequence[Sequence[Tokens]],
        frequencies: DocumentFrequencies | None = None,
    ) -> None:
        """Weigh the references.

        references: for each image, its references.
        frequencies: where document frequencies come from; by default from `references`.
        """
        frequencies = frequencies or DocumentFrequencies(references)
        self._judges = [frequencies.judge(of_image) for of_image in references]

    def row(self, image: int, candidate: Tokens) -> tuple[float, float]:
        """Give the caption's CIDEr-D, and 1."""
        return self._judges[image].score(candidate), 1.0


def _similarity(said: _Weighed, reference: _Weighed) -> float:
    """Give the clipped similarity of two captions, averaged over the orders, 0 to 1."""
    total = 0.0
    for mine, theirs, my_norm, their_norm in zip(
        said.vectors, reference.vectors, said.norms, reference.norms, strict=True
    ):
        if my_norm and their_norm:
            common = sum(
                min(value, theirs[ngram]) * theirs[ngram]
                for ngram, value in mine.items()
                if ngram in theirs
            )
            total += common / (my_norm * their_norm)
    # The COCO evaluation takes the number of bigrams for the length; the difference is the same.
    apart = said.words - reference.words
    return total / _ORDERS * math.exp(-(apart**2) / (2 * _SIGMA**2))


def _all_ngrams(caption: Tokens) -> Iterable[Ngram]:
    for order in range(1, _ORDERS + 1):
        yield from ngrams(caption, order)
