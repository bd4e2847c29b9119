"""Recipes of a user's own, from a few lines of TOML or JSON.

base = "static-int8"
description = "the first block stays float"
keep_float = ["conv1", "conv_dw_1"]

[gate]
identical = 0.6
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from edgecap_export.recipes import Gate, Recipe, recipe_named, recipe_names
from edgecap_runtime.errors import OptionError, first_line

__all__ = ["RECIPE_SUFFIXES", "read_recipe", "recipe_of"]

RECIPE_SUFFIXES = (".toml", ".json")
"""Endings of files that describe a recipe."""

_BASE = "float32"
_KEYS = ("base", *(field.name for field in fields(Recipe)))
_SWITCHES = ("spare_delicate", "bias_correction")
_TEXTS = (
    *("base", "name", "description", "encoder", "embedding", "step", "output", "ranges"),
    "processor",
)
_MOST = {"identical": 1.0, "log_probability": math.inf, "quantile": 1.0}


def recipe_of(text: str) -> Recipe:
    """Give a recipe by its name, or from a .toml or .json file that describes one.

    Raises:
        OptionError: there is no such recipe, or the file describes none.
    """
    is_file = text.lower().endswith(RECIPE_SUFFIXES)
    return read_recipe(text) if is_file else recipe_named(text)


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe from a .toml or .json file.

    Its keys are the fields of `Recipe`, and `base`, a recipe that fills in those that are left
    out (float32 where there is none). The name is the file's where none is given. Raises
    `OptionError` for a file that can't be read, an unknown key, a value of a wrong kind, a
    treatment that a part can't have, or the name of another recipe.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in RECIPE_SUFFIXES:
        raise OptionError(
            f"The recipe {str(file)!r} ends in {suffix or 'nothing'!r}; give a file that ends in "
            f"{' or '.join(RECIPE_SUFFIXES)}."
        )
    try:
        text = file.read_text("utf-8")
        given = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
    except OSError as problem:
        raise OptionError(
            f"Unable to read the recipe {str(file)!r} ({problem.strerror or problem}); give the "
            "name of a recipe, or a .toml or .json file that is there."
        ) from problem
    # Not UTF-8, no TOML, no JSON; brackets in brackets without end.
    except (ValueError, RecursionError) as problem:
        kind = suffix.lstrip(".").upper()
        raise OptionError(
            f"The recipe {str(file)!r} is no {kind} ({first_line(problem)}); put that right."
        ) from problem
    if not isinstance(given, Mapping):
        raise OptionError(
            f"The recipe {str(file)!r} is no table; give keys with values, such as "
            '{"base": "static-int8"}.'
        )
    return _recipe(dict(given), file)


def _recipe(given: dict[str, Any], file: Path) -> Recipe:
    where = f"The recipe {str(file)!r}"
    for key in given:
        if key not in _KEYS:
            raise OptionError(
                f"{where} has the key {key!r}, which is none; choose among {', '.join(_KEYS)}."
            )
    for key in _TEXTS:
        if key in given and not (isinstance(given[key], str) and given[key]):
            raise OptionError(f"{where} has {key} {given[key]!r}; give a text.")
    base = recipe_named(given.pop("base", _BASE))
    changes = {"name": file.stem, "description": f"{base.name} as changed in {file.name}", **given}
    if "keep_float" in changes:
        names = changes["keep_float"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise OptionError(f"{where} has keep_float {names!r}; give a list of blocks' names.")
        changes["keep_float"] = tuple(names)
    for key in _SWITCHES:
        if not isinstance(changes.get(key, True), bool):
            raise OptionError(f"{where} has {key} {changes[key]!r}; give true or false.")
    if "gate" in changes:
        changes["gate"] = _gate(changes["gate"], base.gate, where)
    recipe = base.changed(**changes)
    # Reports name recipes: what stands there under a known name must be that recipe.
    if recipe.name in recipe_names() and recipe != recipe_named(recipe.name):
        raise OptionError(
            f"{where} is called {recipe.name!r}, as another recipe is; give it another name by the "
            "key name."
        )
    return recipe


def _gate(given: Any, base: Gate, where: str) -> Gate:
    limits = asdict(base)
    if not isinstance(given, Mapping):
        raise OptionError(f"{where} has the gate {given!r}; give a table of {', '.join(limits)}.")
    for key, value in given.items():
        if key not in limits:
            raise OptionError(
                f"{where} has the key {key!r} in its gate; choose among {', '.join(limits)}."
            )
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # Written so that a value that is not a number is refused.
        if not number or not 0 <= value <= _MOST[key]:
            legal = "0 on" if math.isinf(_MOST[key]) else f"0 to {_MOST[key]:g}"
            raise OptionError(
                f"{where} has {key} {value!r} in its gate; give a number from {legal}."
            )
        limits[key] = float(value)
    return Gate(**limits)
