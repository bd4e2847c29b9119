"""Vocabulary files of notebooks: word to id, id to word, or a list, in many formats.

Told apart by content where it says, else by the file's ending. Nothing in a file is ever run: see
`edgecap.importing.pickles`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.importing.pickles import is_pickle, read_pickle
from edgecap_runtime.errors import OptionError, first_line

_WORD_HEADS = ("word", "words", "token", "tokens", "text")
_TEXTS = (".csv", ".tsv", ".txt")
_ID_HEADS = ("id", "ids", "index", "idx", "number")


@dataclass(frozen=True)
class WordList:
    """The words of a vocabulary file."""

    words: tuple[str | None, ...]
    """The word of each id; None for an id that the file has no word for."""

    form: str
    """What the file holds, e.g. "JSON, word to id"."""


def read_words(path: Path) -> WordList:
    """Read a vocabulary file.

    Raises:
        OptionError: it is missing, of no form that is known, or its ids are not what ids are.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise OptionError(
            f"can't read the vocabulary {str(path)!r} ({problem.strerror}); give the file that "
            "belongs to the model"
        ) from problem
    name = repr(str(path))
    if is_pickle(path, data):
        return _from_object(read_pickle(data, name), "pickle", name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise OptionError(
            f"the vocabulary {name} is no UTF-8 text ({first_line(problem)}); save it as UTF-8"
        ) from problem
    suffix = path.suffix.lower()
    # A text's first word may well be "[PAD]".
    if suffix == ".json" or (suffix not in _TEXTS and text.lstrip()[:1] in ("{", "[")):
        return _from_object(_json(text, name), "JSON", name)
    if suffix == ".csv":
        return _from_rows(list(csv.reader(io.StringIO(text))), "CSV", name)
    rows = [line.split("\t") for line in text.split("\n")]
    rows = [[cell.removesuffix("\r") for cell in row] for row in rows]
    return _from_rows(rows, "text", name)


def _json(text: str, name: str) -> Any:
    try:
        value = json.loads(text)
        # json.dump(tokenizer.to_json(), file) makes a text of a text.
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as problem:
        raise OptionError(
            f"the vocabulary {name} is no JSON ({first_line(problem)}); write it with json.dump"
        ) from problem


def _from_object(value: Any, form: str, name: str) -> WordList:
    """Take a list or a dict of either direction."""
    if isinstance(value, Mapping) and value.get("class_name") == "Tokenizer":
        return _from_tokenizer(value, name)
    if isinstance(value, list):
        return WordList(_numbered(list(enumerate(value)), name), f"{form}, list")
    if isinstance(value, Mapping) and value:
        if all(_is_id(item) for item in value.values()):
            pairs = [(item, key) for key, item in value.items()]
            return WordList(_numbered(pairs, name), f"{form}, word to id")
        if all(isinstance(item, str) for item in value.values()):
            pairs = [(_as_id(key, name), item) for key, item in value.items()]
            return WordList(_numbered(pairs, name), f"{form}, id to word")
    raise OptionError(
        f"the vocabulary {name} holds {_described(value)}; supported are a list of words, a dict "
        "of word to id, and one of id to word"
    )


def _from_tokenizer(record: Mapping[str, Any], name: str) -> WordList:
    """Keras' Tokenizer as its `to_json` writes it; ids begin at 1, and `num_words` cuts them."""
    try:
        config = record["config"]
        index = config["word_index"]
        index = json.loads(index) if isinstance(index, str) else index
        limit = config.get("num_words")
        pairs = [(_as_id(item, name), word) for word, item in index.items()]
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise OptionError(
            f"the Tokenizer in {name} has no word_index ({first_line(problem)}); write it with "
            "tokenizer.to_json()"
        ) from problem
    kept = [(number, word) for number, word in pairs if limit is None or number < limit]
    return WordList(_numbered(kept, name), "Keras Tokenizer")


def _from_rows(rows: Sequence[Sequence[str]], form: str, name: str) -> WordList:
    """Lines of one word each, the line being the id, or of word and id in either order."""
    rows = list(rows)
    while rows and not any(cell for cell in rows[-1]):
        del rows[-1]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise OptionError(
            f"the vocabulary {name} has lines of {', '.join(map(str, sorted(widths))) or 'no'} "
            "columns; each line is a word, or a word and its id"
        )
    if widths == {1}:
        rows = rows[1:] if form == "CSV" and rows[0][0].lower() in _WORD_HEADS else rows
        return WordList(
            _numbered([(place, row[0]) for place, row in enumerate(rows)], name),
            f"{form}, the line is the id",
        )
    word, number, headed = _columns(rows, name)
    pairs = [(_as_id(row[number], name), row[word]) for row in rows[headed:]]
    return WordList(_numbered(pairs, name), f"{form}, word and id")


def _columns(rows: Sequence[Sequence[str]], name: str) -> tuple[int, int, int]:
    """Find the columns of word and id, and how many lines are head: (word, id, head)."""
    heads = [cell.strip().lower() for cell in rows[0]]
    words = [place for place, head in enumerate(heads) if head in _WORD_HEADS]
    numbers = [place for place, head in enumerate(heads) if head in _ID_HEADS]
    if len(words) == len(numbers) == 1 and not rows[0][numbers[0]].isdecimal():
        return words[0], numbers[0], 1
    if len(heads) == 2:
        # A data frame's own column of row numbers has no head.
        for number, word in ((0, 1), (1, 0)):
            if heads[number] == "" and heads[word] in _WORD_HEADS:
                return word, number, 1
        columns = [all(row[place].strip().isdecimal() for row in rows) for place in range(2)]
        if columns.count(True) == 1:
            return columns.index(False), columns.index(True), 0
    raise OptionError(
        f"the vocabulary {name} has {len(heads)} columns, and which are word and id can't be told; "
        "give two, or a first line that calls them word and id"
    )


def _numbered(pairs: Sequence[tuple[int, Any]], name: str) -> tuple[str | None, ...]:
    """Sort words by their ids."""
    if not pairs:
        raise OptionError(f"the vocabulary {name} is empty; give the one that belongs to the model")
    count = max(number for number, _ in pairs) + 1
    if count > 2 * len(pairs) + 16:
        raise OptionError(
            f"the vocabulary {name} has {len(pairs)} words and ids up to {count - 1}; ids go from "
            "0 or 1 to the number of words"
        )
    words: list[str | None] = [None] * count
    places: dict[str, int] = {}
    for number, word in pairs:
        if not isinstance(word, str) or not word or any(mark.isspace() for mark in word):
            raise OptionError(
                f"the vocabulary {name} has {word!r} as its word {number}; a word is a text "
                "without white space: mend it"
            )
        if words[number] is not None:
            raise OptionError(
                f"the vocabulary {name} gives the id {number} to {words[number]!r} and {word!r}; "
                "every word needs an id of its own"
            )
        if word in places:
            raise OptionError(
                f"the vocabulary {name} has the word {word!r} twice, with the ids {places[word]} "
                f"and {number}; every word needs one id"
            )
        words[number], places[word] = word, number
    return tuple(words)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _as_id(value: Any, name: str) -> int:
    if _is_id(value):
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    raise OptionError(f"the vocabulary {name} has the id {value!r}; an id is a whole number from 0")


def _described(value: Any) -> str:
    if isinstance(value, Mapping) and value:
        key, item = next(iter(value.items()))
        return f"a dict of {type(key).__name__} to {type(item).__name__}"
    return f"a {type(value).__name__}" if value else "nothing"
