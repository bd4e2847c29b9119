"""Quantizing the ONNX graphs of a captioner by a recipe (being written)."""

from __future__ import annotations

from collections.abc import Mapping

from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.treatments import PARTS

__all__ = ["lacks"]

_TREATED = {"float32", "dynamic-int8", "int8-rows", "int4-rows"}


def lacks(graph: CaptionerGraph, recipe: Recipe) -> Mapping[str, str]:
    """Say for which parts a recipe asks what can't be had for this captioner, and why."""
    return {
        part: "ONNX Runtime runs no such operators"
        for part in PARTS
        if recipe.treatment(part) not in _TREATED
    }
