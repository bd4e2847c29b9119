"""What captions say that nobody who saw the photograph did: dogs, people, colours, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecap.metrics.captions import Tokens, check_candidates, check_references


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MEN = _set("man men boy boys guy guys he his him himself male males")
_WOMEN = _set("woman women girl girls lady ladies she her herself female females")


@dataclass(frozen=True)
class _Kind:
    """A kind of thing that captions name."""

    key: str
    """Its name in reports."""
    words: frozenset[str]
    """The words that name it."""
    alike: bool
    """Whether any of the words bears out any other; if not, each word bears out itself alone."""


_COLOURS = _set(
    "black white red blue green yellow orange brown pink purple gray grey tan blond blonde"
)

KINDS = (
    _Kind("dogs", _set("dog dogs puppy puppies"), alike=True),
    _Kind("men or boys", _MEN, alike=True),
    _Kind("women or girls", _WOMEN, alike=True),
    _Kind("a colour", _COLOURS, alike=False),
    _Kind("a number", _set("two three four five six seven eight"), alike=False),
)
"""What is looked for. A number or a colour must be the very one of a reference."""


def mentions(
    captions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> dict[str, dict[str, int]]:
    """Count what captions name and no reference of their photograph does.

    Args:
        captions: a caption for each image, as words.
        references: for each image, its captions.

    Returns:
        For each of `KINDS` "said", the captions that name it, and "borne_out", those of them that a
        reference bears out in every such word. For "women called men" and "men called women"
        "said" counts the captions that name only the one where the references name either, and
        "borne_out" those where the references do not name only the other.

    Raises:
        EdgecapError: there is no caption, not one for each image, an image has no reference, or a
            caption is a string.
    """
    check_candidates(captions, len(references))
    check_references(references)
    pairs = [
        (frozenset(caption), frozenset(word for one in of_image for word in one))
        for caption, of_image in zip(captions, references, strict=True)
    ]
    found = {kind.key: _counted(kind, pairs) for kind in KINDS}
    found["women called men"] = _confused(pairs, _MEN, _WOMEN)
    found["men called women"] = _confused(pairs, _WOMEN, _MEN)
    return found


_Pairs = Sequence[tuple[frozenset[str], frozenset[str]]]
"""A caption's words, and all words of its image's references."""


def _counted(kind: _Kind, pairs: _Pairs) -> dict[str, int]:
    said = [(words & kind.words, known & kind.words) for words, known in pairs]
    naming = [(mine, theirs) for mine, theirs in said if mine]
    borne_out = [bool(theirs) if kind.alike else mine <= theirs for mine, theirs in naming]
    return {"said": len(naming), "borne_out": sum(borne_out)}


def _confused(pairs: _Pairs, named: frozenset[str], others: frozenset[str]) -> dict[str, int]:
    """Count captions that name the one alone, and those where all who saw it named the other."""
    said = [
        known
        for words, known in pairs
        if words & named and not words & others and known & (named | others)
    ]
    return {"said": len(said), "borne_out": sum(bool(known & named) for known in said)}
