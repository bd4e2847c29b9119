"""What the settings of several decoders are held to."""

from __future__ import annotations

from typing import Any

from edgecap_runtime.errors import OptionError


def check_least(options: Any, least: int, *names: str) -> None:
    """Refuse whole numbers that are too small.

    Args:
        options: settings of a decoder.
        least: the smallest number that is legal.
        names: the settings that are held to it.

    Raises:
        OptionError: one is smaller.
    """
    for name in names:
        if getattr(options, name) < least:
            raise OptionError(
                f"decoder.{name} is {getattr(options, name)}; give a whole number of at least "
                f"{least}"
            )


def check_dropout(share: float) -> None:
    """Refuse a share of units to drop that is none.

    Raises:
        OptionError: it is below 0, or 1 and more.
    """
    if not 0 <= share < 1:
        raise OptionError(f"decoder.dropout is {share}; give a number from 0 up to 1")
