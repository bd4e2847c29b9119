"""Decoders that read all words so far for each next one: what their graph takes, how it is fed.

The backward half of a bidirectional LSTM meets the newest word first, so nothing of it can be
carried from word to word. Its graph takes the whole prefix. Here the words so far travel in the
state, so that a search drives such a graph as it drives a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import BundleError, OptionError
from .limits import PREFIX_LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .backends import Backend
    from .decoding import State, Step
    from .vocabulary import Vocabulary

__all__ = ["WORDS", "Prefix", "PrefixBackend", "step_by_prefix"]

WORDS = "words so far"
"""Name of the state's int32 [rows, T], the words so far. No tensor of a file can have it, for those
names are identifiers."""

_PLACES: Mapping[str, Callable[[int, int], slice]] = {
    "end": lambda words, length: slice(0, words),
    "start": lambda words, length: slice(length - words, length),
}
"""Where so many words stand in a prefix of a length, by the side that is padded."""


@dataclass(frozen=True)
class Prefix:
    """How words become the ids of a prefix graph; raises `BundleError` on illegal values."""

    length: int | None
    """Number of ids that the graph takes; None for as many as there are words."""
    padding_id: int
    """Id that fills a prefix up to `length`."""
    padded: str
    """The side that is filled: "end" (behind the words) or "start" (before them)."""
    skipped_id: int | None
    """Id that is left out of every prefix, as a masked word leaves an LSTM as it is; None for
    none."""

    def __post_init__(self) -> None:
        self._check("length", self.length, 1, optional=True)
        if self.length is not None and self.length > PREFIX_LENGTH:
            raise BundleError(
                f"The prefix has a length of {self.length} ids, and {PREFIX_LENGTH} are the most "
                "that are read."
            )
        self._check("padding_id", self.padding_id, 0)
        self._check("skipped_id", self.skipped_id, 0, optional=True)
        if self.padded not in _PLACES:
            raise BundleError(
                f"The prefix is padded at {self.padded!r}; choose among {', '.join(_PLACES)}."
            )

    def _check(self, name: str, value: object, least: int, optional: bool = False) -> None:
        if optional and value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            none = ", or none" if optional else ""
            raise BundleError(
                f"The prefix has {name} {value!r}; give a whole number of at least {least}{none}."
            )

    def check_ids(self, vocabulary: Vocabulary) -> None:
        """Raise `BundleError` if the ids don't fit a vocabulary."""
        for name in ("padding_id", "skipped_id"):
            value = getattr(self, name)
            if value is not None and value >= len(vocabulary):
                raise BundleError(
                    f"The prefix has {name} {value}, outside the vocabulary's {len(vocabulary)} "
                    f"words; ids go from 0 to {len(vocabulary) - 1}."
                )
        if self.skipped_id == vocabulary.start_id:
            raise BundleError(
                f"The prefix skips the id {self.skipped_id}, which is the start id, so that the "
                "first prefix would be empty; give the start word an id of its own."
            )

    def check_words(self, most: int) -> None:
        """Raise `OptionError` if captions of so many words don't fit into the prefix.

        The last word follows a prefix of the start id and all words before it.
        """
        if self.length is not None and most > self.length:
            raise OptionError(
                f"max_words is {most}, but this captioner's decoder reads prefixes of "
                f"{self.length} ids; give at most {self.length}."
            )

    def batches(self, words: NDArray[np.int32]) -> list[tuple[NDArray[np.intp], NDArray[np.int32]]]:
        """Turn words, int32 [rows, T], into what the graph takes, a batch for each length.

        Gives the places of a batch's rows, rising, and their ids, int32 [places, length].
        """
        kept = [row if self.skipped_id is None else row[row != self.skipped_id] for row in words]
        lengths = [len(row) if self.length is None else self.length for row in kept]
        batches = []
        for length in sorted(set(lengths)):
            places = np.flatnonzero(np.array(lengths) == length)
            ids = np.full((len(places), length), self.padding_id, np.int32)
            for target, place in zip(ids, places, strict=True):
                row = kept[place]
                target[_PLACES[self.padded](len(row), length)] = row
            batches.append((places, ids))
        return batches


def step_by_prefix(
    graph: Step, prefix: Prefix, ids: NDArray[np.int32], state: State
) -> tuple[NDArray[np.float32], State]:
    """Add a word to each row's prefix: ids int32 [rows] to logits float32 [rows, V].

    graph: runs prefixes, int32 [rows, length], with all of the state but `WORDS`. Rows whose
    prefixes differ in length, once words are skipped, run one length after the other. Raises
    `OptionError` for more words than the graph takes.
    """
    words = np.concatenate([state[WORDS], ids[:, None]], axis=1)
    prefix.check_words(words.shape[1])
    image = {name: array for name, array in state.items() if name != WORDS}
    following = {**image, WORDS: words}
    batches = prefix.batches(words)
    if len(batches) == 1:
        return graph(batches[0][1], image)[0], following
    answers = [
        graph(prefixes, {name: array[rows] for name, array in image.items()})[0]
        for rows, prefixes in batches
    ]
    order = np.argsort(np.concatenate([rows for rows, _ in batches]))
    return np.concatenate(answers)[order], following


class PrefixBackend:
    """A `Backend` that says a word at a time, made of one whose step takes whole prefixes."""

    def __init__(self, graph: Backend, prefix: Prefix) -> None:
        """Join them; `graph.step` takes ids int32 [rows, length] and the first state."""
        self._graph = graph
        self._prefix = prefix
        self.interpreter = getattr(graph, "interpreter", "unknown")

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state of an image, uint8 [height, width, 3]: no words yet."""
        return {**self._graph.encode(image), WORDS: np.empty((1, 0), np.int32)}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Add a word to each row's prefix; see `step_by_prefix`."""
        return step_by_prefix(self._graph.step, self._prefix, ids, state)

    def close(self) -> None:
        """Free the interpreter."""
        self._graph.close()
