"""How far a log-probability may be from the exporting machine's on another right processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgecap_export.treatments import PARTS

if TYPE_CHECKING:
    from edgecap_export.recipes import Recipe

__all__ = ["TOLERANCES", "tolerance_of"]

TOLERANCES: Mapping[str, float] = {
    "float32": 1e-3,
    "float16": 1e-3,
    "int8-rows": 1e-3,
    "int4-rows": 1e-3,
    "dynamic-int8": 0.1,
    "dynamic-int8-tensor": 0.1,
    "dynamic-int4": 0.1,
    "static-int8": 0.3,
    "static-int4": 0.3,
    "static-int4-lines": 0.3,
    "static-int16x8": 0.3,
}
"""By treatment, nats. To be the largest difference of a log-probability between right processors
(rounding alone) that bench/processors.py measures, times two; these are first guesses, the gates of
the recipes against Keras where they are smaller, and nothing was measured for them yet."""


def tolerance_of(recipe: Recipe) -> float:
    """Return the tolerance of a recipe: the largest of its parts' treatments."""
    return max(TOLERANCES[recipe.treatment(part)] for part in PARTS)
