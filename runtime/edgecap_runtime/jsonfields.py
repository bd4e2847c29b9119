"""Reads the fields of JSON objects into dataclasses, strictly and with sentences for errors."""

from __future__ import annotations

import json
import sys
from typing import Any

from .errors import BundleError

__all__ = ["Fields", "loads_object"]

_MOST = sys.float_info.max


def loads_object(entry: str, text: bytes) -> Fields:
    """Parse an entry that must be a JSON object in UTF-8; raises `BundleError`."""
    try:
        value = json.loads(text.decode("utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both of this kind
        raise BundleError(
            f"{entry} in the file is no JSON ({error}); export the captioner again."
        ) from None
    return Fields(entry, value)


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
                f"{self._where} has {name} = {value!r} where {meaning} belongs; export the "
                "captioner again."
            )
        return value

    def text(self, name: str) -> str:
        """Give a string."""
        return str(self._get(name, (str,), "a string"))

    def integer(self, name: str) -> int:
        """Give a whole number."""
        return int(self._get(name, (int,), "a whole number"))

    def number(self, name: str) -> float:
        """Give a number."""
        return float(self._get(name, (int, float), "a number"))

    def optional_integer(self, name: str) -> int | None:
        """Give a whole number, or None where the field is null or absent."""
        return self.integer(name) if name in self else None

    def integers(self, name: str) -> tuple[int, ...]:
        """Give a list of whole numbers."""
        values = self._get(name, (list,), "a list of whole numbers")
        if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
            raise BundleError(
                f"{self._where} has {name} = {values!r} where a list of whole numbers belongs; "
                "export the captioner again."
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
        """Give a list of strings."""
        values = self._get(name, (list,), "a list of strings")
        if any(not isinstance(value, str) for value in values):
            raise BundleError(
                f"{self._where} has {name} = {values!r} where a list of strings belongs; export "
                "the captioner again."
            )
        return tuple(values)

    def fields(self, name: str) -> Fields:
        """Give an object inside this one."""
        return Fields(f"{self._where}'s {name}", self._get(name, (dict,), "an object"))

    def list_of_fields(self, name: str) -> list[Fields]:
        """Give a list of objects."""
        values = self._get(name, (list,), "a list of objects")
        return [Fields(f"{self._where}'s {name}[{i}]", value) for i, value in enumerate(values)]

    def raw(self, name: str) -> dict[str, Any]:
        """Give an object as it stands."""
        return dict(self._get(name, (dict,), "an object"))

    def all(self) -> dict[str, Any]:
        """Give the whole object as it stands."""
        return dict(self._value)
