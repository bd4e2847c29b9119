"""The kinds of decoder graphs: all that depends on a kind stands in one table.

`step`: a word and a state in, logits and the next state out. `prefix`: all words so far and the
first state in, logits out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import BundleError
from .prefix import Prefix, PrefixBackend

if TYPE_CHECKING:
    from .backends import Backend
    from .vocabulary import Vocabulary

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """What depends on a kind. Its functions take the file's `Prefix`, None where it has none."""

    check: Callable[[Prefix | None, Vocabulary], None]
    """Raise `BundleError` if the prefix is not what such a decoder has."""
    check_words: Callable[[Prefix | None, int], None]
    """Raise `OptionError` if captions of so many words can't be made."""
    ids_shape: Callable[[Prefix | None], tuple[int | None, ...]]
    """Shape of the ids that the graph takes; None for any size."""
    carries: bool
    """Whether the graph gives a next state; else it reads the first one at each word."""
    driven: Callable[[Backend, Prefix | None], Backend]
    """Make a backend that steps by a word a row from one whose step runs the graph."""


def _given(prefix: Prefix | None) -> Prefix:
    if prefix is None:
        raise BundleError(
            "The decoder is of kind 'prefix' but nothing says what its prefixes are; export the "
            "captioner again."
        )
    return prefix


def _check_absent(prefix: Prefix | None, vocabulary: Vocabulary) -> None:
    if prefix is not None:
        raise BundleError(
            "The decoder is of kind 'step', which reads no prefix, but is said to have one; export "
            "the captioner again."
        )


KINDS: Mapping[str, Kind] = {
    "step": Kind(
        check=_check_absent,
        check_words=lambda prefix, most: None,
        ids_shape=lambda prefix: (None,),
        carries=True,
        driven=lambda backend, prefix: backend,
    ),
    "prefix": Kind(
        check=lambda prefix, vocabulary: _given(prefix).check_ids(vocabulary),
        check_words=lambda prefix, most: _given(prefix).check_words(most),
        ids_shape=lambda prefix: (None, _given(prefix).length),
        carries=False,
        driven=lambda backend, prefix: PrefixBackend(backend, _given(prefix)),
    ),
}
"""The kinds that this runtime runs; a kind's name is also that of the .tflite signature."""
