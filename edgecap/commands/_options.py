"""Several of click's options as one decorator, for commands that have them in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the decorator that adds `click.option`s, which help lists in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
