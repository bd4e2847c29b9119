"""What is wrong with captions at first sight, whatever the photographs show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class FaultLimit:
    """How far a share that `caption_faults` gives may go in captions fit to be read."""

    key: str
    """Its name in `caption_faults`."""
    label: str
    """What it is called in tables."""
    bound: float
    """The share, 0 to 1, that must not be passed."""
    least: bool = False
    """Whether the share must not be smaller; if not, it must not be larger."""

    def holds(self, share: float | None) -> bool | None:
        """Say whether a share keeps to the limit; None for one that is not known."""
        if share is None:
            return None
        return share >= self.bound if self.least else share <= self.bound

    @property
    def allowed(self) -> str:
        """The limit as text, e.g. "≤ 1 %"."""
        sign = "≥" if self.least else "≤"
        return f"{sign} {100 * self.bound:g} %" if self.bound else "none"

    @property
    def named(self) -> str:
        """The label with the limit."""
        return f"{self.label} ({self.allowed})"


LIMITS = (
    FaultLimit("unknown_word", "hold the unknown word", 0),
    FaultLimit("end_open", "end in article, preposition", 0.01),
    FaultLimit("double_a_word", "double a word", 0.005),
    FaultLimit("at_the_limit", "run into the length limit", 0.005),
    FaultLimit("different", "differ from each other", 0.4, least=True),
)
"""The limits, in the order of tables.

That of different captions is meant for 1000 photographs; a smaller set has more for its size."""


def limits_kept(faults: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Hold what `caption_faults` found against the limits.

    Returns:
        By the limit's key "value", the share; "at_most" or "at_least", the limit; and "holds",
        whether it keeps to that (None where the share is not known).
    """
    return {
        limit.key: {
            "value": faults[limit.key],
            "at_least" if limit.least else "at_most": limit.bound,
            "holds": limit.holds(faults[limit.key]),
        }
        for limit in LIMITS
    }


def caption_faults(
    captions: Sequence[Tokens], *, max_words: int | None = None, unknown: str | None = None
) -> dict[str, Any]:
    """Count captions that are faulty as they stand.

    Args:
        captions: as words, as they were said.
        max_words: where decoding cuts a caption; None where that is not known.
        unknown: the vocabulary's unknown word; None where it has none.

    Returns:
        "captions" and "different_captions", counted; "mean_words"; and shares, 0 to 1: "different",
        captions that differ from each other, of all;
        "end_open", those that end in an article or a preposition (`FINAL_WORDS`); "double_a_word",
        with the same word twice in a row; "at_the_limit", of `max_words` words (None without it);
        "unknown_word", that hold `unknown` (0 without it).

    Raises:
        EdgecapError: there is no caption, or one is a string.
    """
    check_candidates(captions, len(captions))
    different = len({tuple(words) for words in captions})
    return {
        "captions": len(captions),
        "different_captions": different,
        "different": different / len(captions),
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
