"""What a user may choose about decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from .errors import OptionError

__all__ = ["DecodingOptions", "search_name"]

_LARGEST = {"beam": 64, "max_words": 1000, "no_repeat_ngram": 1000}


def search_name(beam: int) -> str:
    """Give what a search of this width is called in reports: "greedy" or "beam 3"."""
    return "greedy" if beam == 1 else f"beam {beam}"


@dataclass(frozen=True)
class DecodingOptions:
    """Choices of greedy and beam search; raises `OptionError` on illegal values."""

    beam: int = 3
    """Width of the beam, 1 to 64; 1 is greedy."""
    length_penalty: float = 0.7
    """Exponent a of the score, log probability / length ** a (0 to 10); 0 favours short captions.

    The length counts the words and the end token.
    """
    min_words: int = 0
    """Fewest words of a caption; the end token isn't chosen before."""
    max_words: int = 20
    """Most words of a caption, 1 to 1000; there it is cut."""
    no_repeat_ngram: int = 0
    """Length of word sequences that never occur twice in a caption; 0 allows all."""
    n_best: int = 1
    """Number of captions wanted, at most `beam`."""

    def __post_init__(self) -> None:
        self._check("beam", 1, _LARGEST["beam"])
        self._check("max_words", 1, _LARGEST["max_words"])
        self._check("min_words", 0, self.max_words, "max_words")
        self._check("no_repeat_ngram", 0, _LARGEST["no_repeat_ngram"])
        self._check("n_best", 1, self.beam, "the width of the beam")
        value = self.length_penalty
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not 0 <= value <= 10:
            raise OptionError(f"length_penalty is {value!r}; give a number from 0 to 10.")

    def _check(self, name: str, least: int, most: int, meaning: str = "") -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            limit = f"{most} ({meaning})" if meaning else str(most)
            raise OptionError(f"{name} is {value!r}; give a whole number from {least} to {limit}.")

    def changed(self, **choices: Any) -> DecodingOptions:
        """Give these options with those choices that aren't None put in their place.

        `n_best` and `min_words`, where not chosen, give way to a chosen `beam` and `max_words`.
        Raises `OptionError` for an illegal value.
        """
        chosen = {name: value for name, value in choices.items() if value is not None}
        names = [field.name for field in fields(self)]
        for name in chosen:
            if name not in names:
                raise OptionError(f"There is no option {name!r}; choose among {', '.join(names)}.")
        if not chosen:
            return self
        for name, limit in (("n_best", "beam"), ("min_words", "max_words")):
            if name not in chosen and isinstance(chosen.get(limit), int):
                chosen[name] = min(getattr(self, name), chosen[limit])
        return replace(self, **chosen)
