"""How far a log-probability may be from the exporting machine's on another right processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgecap_export.treatments import PARTS

if TYPE_CHECKING:
    from edgecap_export.recipes import Recipe

__all__ = ["TOLERANCES", "tolerance_of"]

_FLOAT = 1e-4
_DYNAMIC = 0.04
_STATIC = 0.21

TOLERANCES: Mapping[str, float] = {
    "float32": _FLOAT,
    "float16": _FLOAT,
    "int8-rows": _FLOAT,
    "int4-rows": _FLOAT,
    "dynamic-int8": _DYNAMIC,
    "dynamic-int8-tensor": _DYNAMIC,
    "dynamic-int4": _DYNAMIC,
    "static-int8": _STATIC,
    "static-int4": _STATIC,
    "static-int4-lines": _STATIC,
    "static-int16x8": _STATIC,
}
"""By treatment, nats: the largest difference of a log-probability between right processors that
bench/processors.py measured (docs/processors.md: 9e-6, .017 and .103 for the three kinds), times
two, and rounded up. It is rounding alone: a float block behind which a number falls to the other
side of an integer. Where products saturated it was .4 and more."""


def tolerance_of(recipe: Recipe) -> float:
    """Return the tolerance of a recipe: the largest of its parts' treatments."""
    return max(TOLERANCES[recipe.treatment(part)] for part in PARTS)
