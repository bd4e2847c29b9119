"""METEOR with exact and stem matches: what can be had of it without WordNet and paraphrase tables.

Denkowski, Lavie: "Meteor Universal: Language Specific Translation Evaluation for Any Target
Language", WMT 2014. The parameters are METEOR 1.5's for English, tuned to rank systems. Its matches
by synonym and by paraphrase are left out, so the figures are lower than the METEOR of papers and
can't be compared with it: they are always called "METEOR (exact+stem)". The function words are a
list of our own. METEOR 1.5 itself, given that list and told to match by exact word and stem alone,
agrees, but for captions that say a word twice whose stem alone the reference has ("dog" and "dog",
where it has "dogs"): the program then passes over the match, the paper does not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nltk.stem.snowball import SnowballStemmer

from edgecap.metrics.alignment import align
from edgecap.metrics.captions import Tokens
from edgecap.metrics.metric import Floats, Metric, corpus_scores

_ARTICLES = "a an the this that these those some all other"
_PRONOUNS = "i he she it we you they me him her us them his its our their who which what one there"
_PREPOSITIONS = "of to in on at by for from with as into over up out about after"  # the commonest
_CONJUNCTIONS = "and or but if than when while so"
_AUXILIARIES = "be is are am was were been being has have had do does did will would can could"
_CLITICS = "not n't 's 're 've 'll 'd 'm"

FUNCTION_WORDS = frozenset(
    " ".join((_ARTICLES, _PRONOUNS, _PREPOSITIONS, _CONJUNCTIONS, _AUXILIARIES, _CLITICS)).split()
)
"""Words that say little: they count a third of a content word. METEOR's own list holds the words
above one in a thousand of a newspaper corpus; these are of the closed classes instead."""

_ALPHA = 0.85
"""Weight of recall against precision in their harmonic mean."""
_BETA = 0.2
"""Exponent of the penalty on chunks."""
_GAMMA = 0.6
"""Most that the penalty takes."""
_DELTA = 0.75
"""Weight of a content word; a function word has the rest of 1."""
_EXACT, _STEM = 1.0, 0.6
"""Weights of a match of equal words, and of words with the same stem."""

_SNOWBALL = SnowballStemmer("english")  # Porter's second, as METEOR has it

# Columns of a row: weighted matches and weighted length of the caption, the same of the reference,
# matched words, chunks.
_SAID, _REFERENCE = slice(0, 2), slice(2, 4)
_MATCHES, _CHUNKS = 4, 5


def meteor_exact_stem(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> float:
    """Return METEOR (exact+stem) of a set of captions (0 to 100).

    As METEOR's program and the COCO caption evaluation have it, figures of each image's best
    reference are summed, and the score is that of the sums: it is no mean of captions.

    Args:
        candidates: one tokenised caption for each image.
        references: for each image, one or more tokenised captions.

    Raises:
        EdgecapError: as for `corpus_bleu`.
    """
    return float(corpus_scores(MeteorExactStem, candidates, references)[0])


@dataclass(frozen=True)
class _Prepared:
    """A caption's words with what METEOR wants to know of each."""

    words: Tokens
    """The words."""
    stems: list[str]
    """The stem of each."""
    weights: list[float]
    """The weight of each: content words weigh more."""


class MeteorExactStem(Metric):
    """METEOR (exact+stem), 0 to 100; see `meteor_exact_stem`."""

    key = "meteor_exact_stem"
    labels = ("METEOR (exact+stem)",)
    digits = 1
    decimals = 3
    columns = 6

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        self._references = [[_prepared(words) for words in of_image] for of_image in references]

    def row(self, image: int, candidate: Tokens) -> list[float]:
        """Give the figures of the reference that the caption scores best with."""
        said = _prepared(candidate)
        rows = [_compare(said, reference) for reference in self._references[image]]
        if len(rows) == 1:
            return rows[0]
        return rows[int(np.argmax(self.scores(np.array(rows))))]  # the first of equals

    @staticmethod
    def scores(sums: Floats) -> Floats:
        """Give METEOR of summed figures, [..., 6] -> [..., 1]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.divide(*np.moveaxis(sums[..., _SAID], -1, 0))
            recall = np.divide(*np.moveaxis(sums[..., _REFERENCE], -1, 0))
            together = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
            penalty = _GAMMA * (sums[..., _CHUNKS] / sums[..., _MATCHES]) ** _BETA
            meteor: Floats = 100 * np.nan_to_num(together * (1 - penalty))[..., None]
        return meteor


def _compare(said: _Prepared, reference: _Prepared) -> list[float]:
    pairs, chunks = align(said.words, said.stems, reference.words, reference.stems)
    said_matches = reference_matches = 0.0
    for mine, theirs in pairs:
        weight = _EXACT if said.words[mine] == reference.words[theirs] else _STEM
        said_matches += weight * said.weights[mine]
        reference_matches += weight * reference.weights[theirs]
    if chunks == 1 and len(pairs) == len(said.words) == len(reference.words):
        chunks = 0  # nothing is out of order or left out
    return [
        said_matches,
        sum(said.weights),
        reference_matches,
        sum(reference.weights),
        len(pairs),
        chunks,
    ]


def _prepared(words: Tokens) -> _Prepared:
    return _Prepared(
        words,
        [_stem(word) for word in words],
        [1 - _DELTA if word in FUNCTION_WORDS else _DELTA for word in words],
    )


@functools.lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return str(_SNOWBALL.stem(word))
