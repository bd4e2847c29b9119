"""Pickles of plain dicts, lists, texts and whole numbers; whatever else one wants is refused.

A pickle is a program: it may name any function and call it. Here no name is ever looked up, so
there is nothing to call.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from edgecap_runtime.errors import OptionError, first_line

_SUFFIXES = (".pkl", ".pickle", ".p", ".pck")
_PLAIN = (dict, list, str, int)


def is_pickle(path: Path, data: bytes) -> bool:
    """Whether a file is a pickle: by its first byte, or by its name for the oldest protocols."""
    return data[:1] == b"\x80" or path.suffix.lower() in _SUFFIXES


def read_pickle(data: bytes, name: str) -> Any:
    """Read a pickle.

    Args:
        data: its bytes.
        name: what to call it in a sentence.

    Returns:
        Dicts, lists, texts and whole numbers.

    Raises:
        OptionError: it is damaged, or wants anything else; the sentence names it.
    """
    try:
        value = _PlainUnpickler(io.BytesIO(data), name).load()
    except OptionError:
        raise
    except Exception as problem:  # a damaged pickle raises whatever its bytes happen to mean
        raise OptionError(
            f"the pickle {name} is damaged ({first_line(problem)}); write it again, or as JSON"
        ) from problem
    _check_plain(value, name)
    return value


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, name: str) -> None:
        # Python 2 wrote texts as bytes.
        super().__init__(stream, encoding="utf-8")
        self._name = name

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse: this is how a pickle gets at code."""
        raise OptionError(
            f"the pickle {self._name} wants {module}.{name}, and edgecap reads only plain dict, "
            "list, str and int from pickles; save the vocabulary as JSON"
        )

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse: this is how a pickle gets at other files."""
        raise OptionError(
            f"the pickle {self._name} wants the outside object {pid!r}; save the vocabulary as JSON"
        )


def _check_plain(value: Any, name: str) -> None:
    """Refuse what the pickle format can hold without naming a class: tuples, bytes, numbers."""
    waiting, seen = [value], set()
    while waiting:
        item = waiting.pop()
        if type(item) not in _PLAIN:
            raise OptionError(
                f"the pickle {name} holds a {type(item).__name__}, and edgecap reads only plain "
                "dict, list, str and int from pickles; save the vocabulary as JSON"
            )
        if isinstance(item, (dict, list)) and id(item) not in seen:
            seen.add(id(item))
            waiting += [*item, *item.values()] if isinstance(item, dict) else item
