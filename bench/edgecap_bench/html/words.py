"""How figures and rows are written on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["NONE", "family", "number", "plural"]

NONE = "–"
"""What stands for a figure that there isn't."""

_FAMILIES = ("gpu", "keras", "notebook", "tflite", "onnx")


def number(value: float | None, digits: int | None = None, *, signed: bool = False) -> str:
    """Write a figure with so many decimals, or with about three significant digits."""
    if value is None:
        return NONE
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−")


def plural(count: int, thing: str) -> str:
    """Write a count of things."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def family(row: Mapping[str, Any]) -> str:
    """Say what runs a row: gpu, keras, notebook, tflite, onnx, or other."""
    target = str(row["floor_of"] or row["target"]).lower()
    suffix = target.rpartition(".")[2]
    if suffix in _FAMILIES:
        return suffix
    return next((name for name in _FAMILIES if target.startswith(name)), "other")
