"""`--set PART.OPTION=VALUE`: fields of an options dataclass from the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

from edgecap_runtime.errors import OptionError

Options = TypeVar("Options")


def apply_settings(part: str, options: Options, settings: Sequence[str]) -> Options:
    """Replace the fields that `settings` name for `part`.

    Args:
        part: "encoder", "decoder" or "training".
        options: a frozen dataclass.
        settings: texts like "decoder.units=256"; those of other parts are passed over.

    Raises:
        OptionError: a text is no setting, or names an unknown option or an illegal value.
    """
    changes: dict[str, Any] = {}
    hints = get_type_hints(type(options))
    for setting in settings:
        place, name, value = _split(setting)
        if place != part:
            continue
        if name not in hints:
            raise OptionError(f"{part} has no option {name!r}; it has: {', '.join(sorted(hints))}")
        changes[name] = _parsed(setting, hints[name], value)
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


def recorded(options: Any) -> dict[str, Any]:
    """Give a dataclass of options as a record gives it back: JSON has lists for tuples."""
    fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(options)))
    return fields


def with_defaults(record: Mapping[str, Any], defaults: Any) -> dict[str, Any]:
    """Fill up a record of options: one of before an option was there has its default.

    Args:
        record: options by name, as they were written; other entries stay as they are.
        defaults: the options' dataclass with nothing chosen.
    """
    return {**recorded(defaults), **record}


def check_parts(settings: Sequence[str], parts: Sequence[str]) -> None:
    """Refuse settings for a part that there is not.

    Raises:
        OptionError: such a setting, or a text that is none.
    """
    for setting in settings:
        part = _split(setting)[0]
        if part not in parts:
            raise OptionError(f"--set {setting!r} names no part; parts are: {', '.join(parts)}")


def _split(setting: str) -> tuple[str, str, str]:
    target, equals, value = setting.partition("=")
    part, dot, name = target.partition(".")
    if not equals or not dot:
        raise OptionError(
            f"--set {setting!r} is no setting; write PART.OPTION=VALUE, as in decoder.units=256"
        )
    return part, name, value


def _parsed(setting: str, kind: Any, text: str) -> Any:
    try:
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is str:
            return text
        return tuple(int(piece) for piece in text.split(",") if piece)
    except (ValueError, KeyError):
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(
            kind, "whole numbers with commas between"
        )
        raise OptionError(f"--set {setting!r}: the value must be {wanted}") from None
