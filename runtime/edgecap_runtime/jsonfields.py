"""Reads the fields of JSON objects into dataclasses, strictly and with sentences for errors."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from .errors import BundleError
from .limits import JSON_BYTES, JSON_DEPTH, NUMBER_LENGTH, TEXT_LENGTH

__all__ = ["Fields", "json_bytes", "loads_object", "shown"]

_SHOWN = 80

_MOST = sys.float_info.max


def loads_object(entry: str, text: bytes) -> Fields:
    """Parse an entry that must be a JSON object in UTF-8, within the limits.

    Raises `BundleError` for all else, for numbers that are not finite too.
    """
    if len(text) > JSON_BYTES:
        raise BundleError(
            f"{entry} in the file has {len(text)} bytes, and {JSON_BYTES} are the most that are "
            "read; export the captioner again."
        )
    try:
        value = json.loads(
            text.decode("utf-8"), parse_int=_integer, parse_float=_float, parse_constant=_float
        )
        deep = _is_deep(value)
        if b"\\u" in text:
            # Half a surrogate pair can be escaped, but neither printed nor written.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        deep = True
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both of this kind
        raise BundleError(
            f"{entry} in the file is no JSON ({shown(error)}); export the captioner again."
        ) from None
    if deep:
        raise BundleError(
            f"{entry} in the file has more than {JSON_DEPTH} objects and lists inside each other; "
            "export the captioner again."
        )
    return Fields(entry, value)


def json_bytes(value: dict[str, Any]) -> bytes:
    """Return an object as the text of an entry; its numbers must be finite."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def shown(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _integer(text: str) -> int:
    _check_length(text)
    return int(text)


def _float(text: str) -> float:
    _check_length(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _check_length(text: str) -> None:
    if len(text) > NUMBER_LENGTH:
        raise ValueError(f"a number has {len(text)} characters")


def _is_deep(value: Any) -> bool:
    """Return whether objects and lists are inside each other more often than is read."""
    level: list[Any] = [[value]]
    for _ in range(JSON_DEPTH + 1):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


class Fields:
    """One JSON object; its getters check types and name the field in the `BundleError`."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise BundleError(
                f"{where} is a {type(value).__name__} where a JSON object belongs; export the "
                "captioner again."
            )
        self._where = where
        self._value: dict[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def _get(self, name: str, kinds: tuple[type, ...], meaning: str) -> Any:
        if name not in self._value:
            raise BundleError(f"{self._where} has no {name!r}; export the captioner again.")
        value = self._value[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise BundleError(
                f"{self._where} has {name} = {shown(value)} where {meaning} belongs; export the "
                "captioner again."
            )
        return value

    def text(self, name: str, longest: int = TEXT_LENGTH) -> str:
        """Return a string of at most so many characters."""
        value = str(self._get(name, (str,), "a string"))
        if len(value) > longest:
            raise BundleError(
                f"{self._where} has a {name} of {len(value)} characters, and {longest} are the "
                "most that are read; export the captioner again."
            )
        return value

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._get(name, (int,), "a whole number"))

    def number(self, name: str) -> float:
        """Return a number."""
        return float(self._get(name, (int, float), "a number"))

    def optional_integer(self, name: str) -> int | None:
        """Return a whole number, or None where the field is null or absent."""
        return self.integer(name) if name in self else None

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        values = self._get(name, (list,), "a list of whole numbers")
        if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
            raise BundleError(
                f"{self._where} has {name} = {shown(values)} where a list of whole numbers "
                "belongs; export the captioner again."
            )
        return tuple(values)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        values = self._get(name, (list,), "a list of numbers")
        for value in values:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            # Compared, for a whole number may be too large to become a float.
            if not number or not -_MOST <= value <= _MOST:
                raise BundleError(
                    f"{self._where} has {value!r} in {name} where a finite number belongs; export "
                    "the captioner again."
                )
        return tuple(float(value) for value in values)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._get(name, (list,), "a list of strings")
        if any(not isinstance(value, str) for value in values):
            raise BundleError(
                f"{self._where} has {name} = {shown(values)} where a list of strings belongs; "
                "export the captioner again."
            )
        return tuple(values)

    def fields(self, name: str) -> Fields:
        """Return an object inside this one."""
        return Fields(f"{self._where}'s {name}", self._get(name, (dict,), "an object"))

    def list_of_fields(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        values = self._get(name, (list,), "a list of objects")
        return [Fields(f"{self._where}'s {name}[{i}]", value) for i, value in enumerate(values)]

    def raw(self, name: str) -> dict[str, Any]:
        """Return an object as it stands."""
        return dict(self._get(name, (dict,), "an object"))

    def all(self) -> dict[str, Any]:
        """Return the whole object as it stands."""
        return dict(self._value)
