"""ROUGE-L: the longest run of words, gaps allowed, that a caption shares with a reference.

Lin: "ROUGE: A Package for Automatic Evaluation of Summaries", ACL workshop 2004, as the COCO
caption evaluation has it: the best precision and the best recall over an image's references, which
need not be of the same one, and an F-measure with beta 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecap.metrics.captions import Tokens
from edgecap.metrics.metric import Metric, corpus_scores

_BETA = 1.2
"""Recall counts this many times as much as precision."""


def rouge_l(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> float:
    """Return the mean ROUGE-L of captions (0 to 100).

    Args:
        candidates: one tokenised caption for each image.
        references: for each image, one or more tokenised captions.

    Raises:
        EdgecapError: as for `corpus_bleu`.
    """
    return float(corpus_scores(RougeL, candidates, references)[0])


class RougeL(Metric):
    """Mean ROUGE-L, 0 to 100."""

    key = "rouge_l"
    labels = ("ROUGE-L",)
    digits = 1
    decimals = 3

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        self._references = [
            [(_places(reference), len(reference)) for reference in of_image]
            for of_image in references
        ]

    def row(self, image: int, candidate: Tokens) -> tuple[float, float]:
        """Give the caption's ROUGE-L, 0 to 100, and 1."""
        if not candidate:
            return 0.0, 1.0
        precision = recall = 0.0
        for places, length in self._references[image]:
            common = _common_length(candidate, places, length)
            precision = max(precision, common / len(candidate))
            recall = max(recall, common / length if length else 0.0)
        if not precision:
            return 0.0, 1.0
        weight = _BETA**2
        return 100 * (1 + weight) * precision * recall / (recall + weight * precision), 1.0


def longest_common_subsequence(first: Tokens, second: Tokens) -> int:
    """Count the words of the longest sequence that stands in both, in order, gaps allowed."""
    return _common_length(first, _places(second), len(second))


def _places(words: Tokens) -> dict[str, int]:
    """Give the places of each word as bits."""
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    return places


def _common_length(said: Tokens, places: Mapping[str, int], length: int) -> int:
    """Run the dynamic programme with a whole row in the bits of one integer.

    Hyyrö: "Bit-parallel LCS-length computation revisited", AWOCA 2004. Bits that are 0 at the end
    are the steps of the table's last row.
    """
    all_ones = (1 << length) - 1
    row = all_ones
    for word in said:
        matching = row & places.get(word, 0)
        row = (row + matching | row - matching) & all_ones
    return length - row.bit_count()
