"""Recipes of a user's own, from a few lines of TOML or JSON.

base = "static-int8"
description = "the first block stays float"
keep_float = ["conv1", "conv_dw_1"]

[gate]
identical = 0.6
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from edgecap_export.recipes import Gate, Recipe, recipe_named
from edgecap_runtime.errors import OptionError

__all__ = ["read_recipe"]

_KEYS = ("base", *(field.name for field in fields(Recipe)))
_TEXTS = ("base", "name", "description", "encoder", "embedding", "step", "output", "ranges")


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe from a .toml or .json file.

    Its keys are the fields of `Recipe`, and `base`, a recipe that fills in those that are left
    out (float32 where there is none). The name is the file's where none is given. Raises
    `OptionError` for a file that can't be read, an unknown key, a value of a wrong kind, or a
    treatment that a part can't have.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8")
        given = tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, UnicodeDecodeError) as problem:
        raise OptionError(
            f"Unable to read the recipe {str(file)!r} ({problem}); give the name of a recipe or a "
            ".toml or .json file."
        ) from problem
    except ValueError as problem:
        raise OptionError(
            f"The recipe {str(file)!r} is no {file.suffix.lower().lstrip('.').upper()}: {problem}."
        ) from problem
    if not isinstance(given, Mapping):
        raise OptionError(f"The recipe {str(file)!r} is no table; give keys with values.")
    return _recipe(dict(given), file)


def _recipe(given: dict[str, Any], file: Path) -> Recipe:
    where = f"The recipe {str(file)!r}"
    for key in given:
        if key not in _KEYS:
            raise OptionError(
                f"{where} has the key {key!r}, which is none; choose among {', '.join(_KEYS)}."
            )
    for key in _TEXTS:
        if key in given and not isinstance(given[key], str):
            raise OptionError(f"{where} has {key} {given[key]!r}; give a text.")
    base = recipe_named(given.pop("base", "float32"))
    changes = {"name": file.stem, **given}
    if "keep_float" in changes:
        names = changes["keep_float"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise OptionError(f"{where} has keep_float {names!r}; give a list of blocks' names.")
        changes["keep_float"] = tuple(names)
    if not isinstance(changes.get("bias_correction", True), bool):
        raise OptionError(
            f"{where} has bias_correction {changes['bias_correction']!r}; give true or false."
        )
    if "gate" in changes:
        changes["gate"] = _gate(changes["gate"], base.gate, where)
    return base.changed(**changes)


def _gate(given: Any, base: Gate, where: str) -> Gate:
    limits = asdict(base)
    if not isinstance(given, Mapping):
        raise OptionError(f"{where} has the gate {given!r}; give a table of {', '.join(limits)}.")
    for key, value in given.items():
        if key not in limits:
            raise OptionError(
                f"{where} has the key {key!r} in its gate; choose among {', '.join(limits)}."
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise OptionError(f"{where} has {key} {value!r} in its gate; give a number from 0 on.")
        limits[key] = float(value)
    return Gate(**limits)
