"""How long work tells of its progress."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int], None]
"""Told of progress: stage ("convert", "quantize", ...), steps done, steps in all."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody of progress."""
