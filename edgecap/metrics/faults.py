"""What is wrong with captions at first sight, whatever the photographs show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from edgecap.metrics.captions import Tokens, check_candidates

_ARTICLES = "a an the"
_PREPOSITIONS = (
    "about across against along among as at before beneath beside between by during for from in "
    "into near of on onto through to toward towards under upon with without"
)
FINAL_WORDS = frozenset(f"{_ARTICLES} {_PREPOSITIONS}".split())
"""Articles and prepositions that leave a caption open. Those that close many a good one as adverbs
("outside", "up", "down") are not among them; .8 % of the captions of Flickr8k end in one of these,
most of them in "look on"."""


def caption_faults(
    captions: Sequence[Tokens], *, max_words: int | None = None, unknown: str | None = None
) -> dict[str, Any]:
    """Count captions that are faulty as they stand.

    Args:
        captions: as words, as they were said.
        max_words: where decoding cuts a caption; None where that is not known.
        unknown: the vocabulary's unknown word; None where it has none.

    Returns:
        "captions" and "different_captions", counted; "mean_words"; and shares, 0 to 1:
        "end_open", those that end in an article or a preposition (`FINAL_WORDS`); "double_a_word",
        with the same word twice in a row; "at_the_limit", of `max_words` words (None without it);
        "unknown_word", that hold `unknown` (0 without it).

    Raises:
        EdgecapError: there is no caption, or one is a string.
    """
    check_candidates(captions, len(captions))
    return {
        "captions": len(captions),
        "different_captions": len({tuple(words) for words in captions}),
        "mean_words": round(sum(map(len, captions)) / len(captions), 3),
        "end_open": _share(bool(words) and words[-1] in FINAL_WORDS for words in captions),
        "double_a_word": _share(
            any(one == other for one, other in pairwise(words)) for words in captions
        ),
        "at_the_limit": (
            None if max_words is None else _share(len(words) >= max_words for words in captions)
        ),
        "unknown_word": _share(unknown in words for words in captions),
    }


def _share(faulty: Iterable[bool]) -> float:
    found = list(faulty)
    return sum(found) / len(found)
