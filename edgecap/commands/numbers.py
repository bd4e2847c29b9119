"""An option's value that is several numbers with commas between."""

from __future__ import annotations

from typing import Any

import click


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Numbers within bounds, each once, in their order."""

    name = "numbers"

    def __init__(self, least: float, most: float, *, whole: bool = True) -> None:
        """Keep the bounds, which are legal themselves; whole: whether 0.5 is refused."""
        self._least = least
        self._most = most
        self._whole = whole

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read them: a tuple of int where they are to be whole, else of float."""
        if isinstance(value, tuple):
            return value
        kind: type[int] | type[float] = int if self._whole else float
        try:
            numbers = [kind(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        # Not a number is within no bounds.
        if not numbers or not all(self._least <= each <= self._most for each in numbers):
            self.fail(
                f"{value!r} is not what it takes: {'whole ' * self._whole}numbers from "
                f"{self._least:g} to {self._most:g}, with commas between",
                param,
                ctx,
            )
        return tuple(dict.fromkeys(numbers))
