"""Word ids and how words are joined to text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from .errors import BundleError, OptionError
from .limits import VOCABULARY_WORDS, WORD_LENGTH

__all__ = ["DEFAULT_ATTACH_LEFT", "Vocabulary"]

DEFAULT_ATTACH_LEFT = (
    *("'s", "'", "n't", "'re", "'ve", "'ll", "'d", "'m"),
    *(",", ".", "!", "?", ";", ":"),
)
"""Tokens of the Penn Treebank convention that are written without a space before them."""


@dataclass(frozen=True)
class Vocabulary:
    """The words that a decoder can say; a word's id is its index in `words`.

    Raises `BundleError` when the parts contradict each other (an id outside the words, a word
    twice, a word holding white space).
    """

    words: tuple[str, ...]
    """All words, special ones included; id = index."""
    start_id: int
    """Id fed to the first decoder step; never chosen by a decoder."""
    end_id: int
    """Id that ends a caption; not a part of the caption's words."""
    padding_id: int | None = None
    """Id that filled up short captions in training; None where there is none."""
    unknown_id: int | None = None
    """Id of words seen too rarely; None where there is none. May equal `padding_id`."""
    never_said: tuple[int, ...] = ()
    """Ids that a decoder never chooses; the start id is excluded too, unless it is the end id."""
    attach_left: tuple[str, ...] = DEFAULT_ATTACH_LEFT
    """Words that are written without a space between them and the word before ("'s", ",")."""

    def __post_init__(self) -> None:
        if len(self.words) < 2:
            raise BundleError(
                f"The vocabulary has {len(self.words)} words; it needs at least a start and an "
                "end word: export the captioner again."
            )
        if len(self.words) > VOCABULARY_WORDS:
            raise BundleError(
                f"The vocabulary has {len(self.words)} words, and {VOCABULARY_WORDS} are the most "
                "that are read: make it smaller and export again."
            )
        for identity, word in enumerate(self.words):
            if len(word) > WORD_LENGTH:
                raise BundleError(
                    f"Word {identity} of the vocabulary has {len(word)} characters, and "
                    f"{WORD_LENGTH} are the most that are read: mend it and export again."
                )
        for role in ("start_id", "end_id", "padding_id", "unknown_id"):
            value = getattr(self, role)
            if value is None and role in ("padding_id", "unknown_id"):
                continue
            self._check_id(role, value)
        for value in self.never_said:
            self._check_id("never_said", value)
        if self.end_id in self.never_said:
            raise BundleError(
                f"The vocabulary lists its end id {self.end_id} as never said, so no caption could "
                "end; take it out of never_said and export again."
            )
        if len(self._ids) != len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self._ids[word] != place)
            raise BundleError(
                f"The vocabulary holds the word {twice!r} twice; every word needs one id: make it "
                "unique and export again."
            )
        for identity, word in enumerate(self.words):
            if not word or any(mark.isspace() for mark in word):
                raise BundleError(
                    f"Word {identity} of the vocabulary is {word!r}; a word is not empty and holds "
                    "no white space: mend it and export again."
                )

    def _check_id(self, role: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BundleError(f"The vocabulary's {role} is {value!r}; an id is a whole number.")
        if not 0 <= value < len(self.words):
            raise BundleError(
                f"The vocabulary's {role} {value} is outside its {len(self.words)} words; ids go "
                f"from 0 to {len(self.words) - 1}."
            )

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: identity for identity, word in enumerate(self.words)}

    @cached_property
    def _attached(self) -> frozenset[str]:
        return frozenset(self.attach_left)

    def __len__(self) -> int:
        return len(self.words)

    def join(self, words: Iterable[str]) -> str:
        """Write words as text: spaces between them, none before the words of `attach_left`.

        `["a", "dog", "'s", "ball"]` becomes `"a dog's ball"`.
        """
        pieces: list[str] = []
        for word in words:
            if pieces and word not in self._attached:
                pieces.append(" ")
            pieces.append(word)
        return "".join(pieces)

    def ids_of(self, words: Iterable[str]) -> list[int]:
        """Give each word's id; a word that is not in the vocabulary becomes `unknown_id`.

        Raises `OptionError` for such a word where the vocabulary has no unknown id.
        """
        ids: list[int] = []
        for word in words:
            identity = self._ids.get(word, self.unknown_id)
            if identity is None:
                raise OptionError(
                    f"The word {word!r} is not among the vocabulary's {len(self.words)} words, and "
                    "this vocabulary has no id for unknown words: use words that it holds."
                )
            ids.append(identity)
        return ids

    def words_of(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Give each id's word."""
        return tuple(self.words[identity] for identity in ids)
