"""Greedy search as operations of a graph, said once for all formats.

The rules are those of `edgecap_runtime.decoding` with a beam of 1. A format gives `Operations`,
which put nodes into its graph; the loop itself and the step inside are the format's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecap_export.source import CaptionerSource
from edgecap_runtime.errors import OptionError
from edgecap_runtime.kinds import KINDS
from edgecap_runtime.options import DecodingOptions

__all__ = ["CaptionCall", "GreedyRules", "Operations", "choose", "count_words"]

CaptionCall: TypeAlias = "Callable[[NDArray[np.uint8]], tuple[NDArray[np.int32], int]]"
"""One call of a written file: an image, uint8 [H, W, 3], to ids int32 [L] and their number."""

T = TypeVar("T")

_RULES = {"min_words", "max_words", "no_repeat_ngram"}
# What greedy search has no use for.
_OF_BEAMS = {"beam", "length_penalty", "n_best"}

_NEVER = -np.inf
# The end word is chosen nevertheless where all others are forbidden: there a caption is cut.
_NOT_YET = float(np.finfo(np.float32).min) / 2


@dataclass(frozen=True)
class GreedyRules:
    """What a captioner's own greedy search keeps to."""

    words: int
    """V, the vocabulary's size."""
    start_id: int
    """What is fed first."""
    end_id: int
    """What ends a caption, and fills its row up."""
    forbidden: tuple[int, ...]
    """Ids that are never chosen."""
    max_words: int
    """L, the most words, where a caption is cut."""
    min_words: int = 0
    """Fewest words before the end."""
    no_repeat_ngram: int = 0
    """Length of word sequences that never occur twice; 0 allows all."""

    @classmethod
    def of(cls, source: CaptionerSource) -> GreedyRules:
        """Take a captioner's defaults.

        Raises `OptionError` for a decoder without a step, and for a default that this search
        doesn't know.
        """
        decoder, defaults = source.decoder, source.defaults
        if not KINDS[decoder.kind].carries:
            raise OptionError(
                f"Decoder {decoder.name!r} reads all words anew for each next one, and a search "
                "inside the file is for decoders that carry a state, such as lstm and "
                "merge-lstm; leave --one-call out, the runtime captions with the file all the same."
            )
        for option in fields(defaults):
            value = getattr(defaults, option.name)
            if option.name not in _RULES | _OF_BEAMS and value != option.default:
                raise OptionError(
                    f"The captioner's default {option.name} = {value!r} is a rule that the search "
                    f"inside the file can't keep to (it knows {', '.join(sorted(_RULES))}); leave "
                    "--one-call out, or that default."
                )
        vocabulary = source.vocabulary
        return cls(
            words=len(vocabulary),
            start_id=vocabulary.start_id,
            end_id=vocabulary.end_id,
            forbidden=tuple(
                sorted({*vocabulary.never_said, vocabulary.start_id} - {vocabulary.end_id})
            ),
            max_words=defaults.max_words,
            min_words=defaults.min_words,
            no_repeat_ngram=defaults.no_repeat_ngram,
        )

    def options(self) -> DecodingOptions:
        """Give the runtime's options for the same search."""
        return DecodingOptions(
            beam=1,
            max_words=self.max_words,
            min_words=self.min_words,
            no_repeat_ngram=self.no_repeat_ngram,
        )


class Operations(Protocol[T]):
    """Puts operations into a graph; shapes broadcast as numpy's do."""

    def constant(self, values: NDArray[np.float32] | NDArray[np.int32]) -> T:
        """Store a tensor."""
        ...

    def add(self, one: T, other: T) -> T:
        """Add two tensors of one type."""
        ...

    def maximum(self, one: T, other: T) -> T:
        """Give the larger of two int32, place by place."""
        ...

    def equal(self, one: T, other: T) -> T:
        """Compare int32, place by place."""
        ...

    def less(self, one: T, other: T) -> T:
        """Tell where the one int32 is less than the other."""
        ...

    def both(self, one: T, other: T) -> T:
        """Tell where both are true."""
        ...

    def all_of_rows(self, given: T) -> T:
        """Tell, for each row of [rows, n], whether all of it is true."""
        ...

    def count_false(self, given: T) -> T:
        """Count what is false in [n]; int32 [1]."""
        ...

    def select(self, condition: T, one: T, other: T) -> T:
        """Take from the one where the condition is true, else from the other."""
        ...

    def gather(self, values: T, places: T) -> T:
        """Take from [n] at int32 places of any shape."""
        ...

    def add_at(self, logits: T, places: T, values: T) -> T:
        """Add float32 values [n] to logits [1, V] in the columns int32 [n], which may repeat."""
        ...

    def argmax(self, logits: T) -> T:
        """Give the column of the largest of [1, V], the first among equals; int32 [1]."""
        ...

    def log_probability(self, logits: T, token: T) -> T:
        """Give the log-softmax of logits [1, V] in the column int32 [1]; float32 [1]."""
        ...


def choose(
    ops: Operations[T], rules: GreedyRules, logits: T, said: T, scores: T, length: T
) -> tuple[T, T, T]:
    """Choose the next word from the logits [1, V] after `length` words.

    said: int32 [L], the words so far, filled up with the end id; scores: float32 [L], their log
    probabilities, filled up with zeros; length: int32 [1], less than L. Gives the chosen id
    int32 [1], the end id if the caption is to end, and `said` and `scores` with it.
    """
    whole = logits
    if rules.forbidden:
        forbidden = np.array(rules.forbidden, np.int32)
        never = np.full(len(forbidden), _NEVER, np.float32)
        logits = ops.add_at(logits, ops.constant(forbidden), ops.constant(never))
    if rules.min_words:
        early = ops.less(length, ops.constant(_whole(rules.min_words)))
        change = ops.select(early, ops.constant(_real(_NOT_YET)), ops.constant(_real(0)))
        logits = ops.add_at(logits, ops.constant(_whole(rules.end_id)), change)
    # A sequence needs room for a second time.
    if 0 < rules.no_repeat_ngram < rules.max_words:
        logits = _forbid_repeats(ops, rules, logits, said, length)
    token = ops.argmax(logits)
    # Forbidding a word gives its probability to no other.
    score = ops.log_probability(whole, token)
    here = ops.equal(ops.constant(np.arange(rules.max_words, dtype=np.int32)), length)
    return token, ops.select(here, token, said), ops.select(here, score, scores)


def count_words(ops: Operations[T], rules: GreedyRules, said: T) -> T:
    """Count the words of `said`, int32 [L]; int32 [1]."""
    return ops.count_false(ops.equal(said, ops.constant(_whole(rules.end_id))))


def _forbid_repeats(ops: Operations[T], rules: GreedyRules, logits: T, said: T, length: T) -> T:
    """Forbid what followed the last `no_repeat_ngram` - 1 words before."""
    before = rules.no_repeat_ngram - 1
    # Where such a sequence may begin; the last word of all is chosen, never read.
    begins = np.arange(rules.max_words - 1 - before, dtype=np.int32)
    last = ops.add(length, ops.constant(_whole(-before)))
    # Those that have begun and ended before the last words do.
    repeated = ops.less(ops.constant(begins), last)
    if before:
        inside = np.arange(before, dtype=np.int32)
        tail_places = ops.add(ops.maximum(last, ops.constant(_whole(0))), ops.constant(inside))
        windows = ops.gather(said, ops.constant(begins[:, None] + inside))
        same = ops.all_of_rows(ops.equal(windows, ops.gather(said, tail_places)))
        repeated = ops.both(repeated, same)
    change = ops.select(repeated, ops.constant(_real(_NEVER)), ops.constant(_real(0)))
    return ops.add_at(logits, ops.gather(said, ops.constant(begins + before)), change)


def _whole(value: int) -> NDArray[np.int32]:
    return np.array([value], np.int32)


def _real(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)
