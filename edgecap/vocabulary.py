"""The vocabulary of a captioner, counted from its training captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from edgecap_runtime.errors import OptionError
from edgecap_runtime.vocabulary import Vocabulary

__all__ = ["SPECIAL_WORDS", "build_vocabulary"]

SPECIAL_WORDS = ("<pad>", "<start>", "<end>", "<unk>")
"""Padding, start, end and unknown; their ids are 0 to 3."""


def build_vocabulary(captions: Iterable[Sequence[str]], minimum_count: int = 5) -> Vocabulary:
    """Return the words that occur often enough in the training captions, most frequent first.

    Ids: padding 0, start 1, end 2, unknown 3, then the words by falling count, equal counts in
    alphabetical order, so that the same captions always give the same ids. Padding, start and
    unknown are never said.

    Args:
        captions: tokenised captions of the training split alone.
        minimum_count: how often a word has to occur; rarer ones become the unknown word.

    Raises:
        OptionError: `minimum_count` is not a positive integer, or no word occurs that often.
    """
    if isinstance(minimum_count, bool) or not isinstance(minimum_count, int) or minimum_count < 1:
        raise OptionError(
            f"The minimum word count is {minimum_count!r}; use a whole number of 1 or more."
        )
    counts = Counter(word for caption in captions for word in caption)
    for special in SPECIAL_WORDS:
        del counts[special]  # has an id already; a Counter does not mind if it is absent
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [word for word, count in ranked if count >= minimum_count]
    if not words:
        highest = ranked[0][1] if ranked else 0
        raise OptionError(
            f"No word occurs {minimum_count} times in the training captions (the most frequent "
            f"one {highest} times); use a smaller minimum count or more captions."
        )
    return Vocabulary(
        words=(*SPECIAL_WORDS, *words),
        start_id=1,
        end_id=2,
        padding_id=0,
        unknown_id=3,
        never_said=(0, 1, 3),
    )
