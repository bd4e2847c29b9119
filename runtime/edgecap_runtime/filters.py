"""Rules that forbid words during decoding.

A rule is added by one class like `LogitFilter` and one line in `decoding.Scorer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .vocabulary import Vocabulary

__all__ = ["LogitFilter", "MinimumLength", "NeverSaid", "NoRepeatNgram"]


class LogitFilter(Protocol):
    """A rule that forbids words by setting their logits to minus infinity."""

    def apply(self, logits: NDArray[np.float32], prefixes: Sequence[tuple[int, ...]]) -> None:
        """Change logits [rows, V] in place, given each row's words so far."""


class NeverSaid:
    """Forbids the vocabulary's `never_said` ids and its start id (unless that ends captions)."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        forbidden = {*vocabulary.never_said, vocabulary.start_id} - {vocabulary.end_id}
        self.ids = frozenset(forbidden)
        self._ids = np.array(sorted(forbidden), dtype=np.intp)

    def apply(self, logits: NDArray[np.float32], prefixes: Sequence[tuple[int, ...]]) -> None:
        """Forbid them in every row."""
        logits[:, self._ids] = -np.inf


class MinimumLength:
    """Forbids the end token before `min_words` words; all rows are of one length."""

    def __init__(self, end_id: int, min_words: int) -> None:
        self._end_id = end_id
        self._min_words = min_words

    def apply(self, logits: NDArray[np.float32], prefixes: Sequence[tuple[int, ...]]) -> None:
        """Forbid the end token while the prefixes are too short."""
        if len(prefixes[0]) < self._min_words:
            logits[:, self._end_id] = -np.inf


class NoRepeatNgram:
    """Forbids every word that would make a sequence of `size` words occur a second time."""

    def __init__(self, size: int) -> None:
        self._size = size

    def apply(self, logits: NDArray[np.float32], prefixes: Sequence[tuple[int, ...]]) -> None:
        """Forbid, row by row, what followed the last `size` - 1 words before."""
        before = self._size - 1
        for row, prefix in enumerate(prefixes):
            tail = prefix[len(prefix) - before :]
            for place in range(len(prefix) - before):
                if prefix[place : place + before] == tail:
                    logits[row, prefix[place + before]] = -np.inf
