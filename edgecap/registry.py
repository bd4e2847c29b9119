"""A table from names to things, with the sentence that a wrong name deserves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from edgecap_runtime.errors import OptionError

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Named things of one kind; a new one is one file and one `register` call."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._things: dict[str, Thing] = {}

    def register(self, name: str, thing: Thing) -> Thing:
        """Add `thing` under `name`.

        Raises:
            ValueError: the name is taken already (a mistake in code, not in input).
        """
        if name in self._things:
            raise ValueError(f"{self._kind} {name!r} is registered twice")
        self._things[name] = thing
        return thing

    def __getitem__(self, name: str) -> Thing:
        """Look `name` up.

        Raises:
            OptionError: no such name; the sentence lists the ones there are.
        """
        try:
            return self._things[name]
        except KeyError:
            known = ", ".join(sorted(self._things))
            raise OptionError(f"unknown {self._kind} {name!r}; choose one of: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))
