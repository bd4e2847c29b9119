"""Folders and Keras weight files that are either whole or not there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import EdgecapError, first_line


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it, if they are not there.

    Raises:
        EdgecapError: it can't be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise EdgecapError(
            f"can't make the folder {str(folder)!r} ({problem.strerror}); choose another place"
        ) from problem
    return folder


def save_weights(model: Any, path: Path) -> None:
    """Write a Keras model's weights, whole or not at all, without its optimizer's state."""
    try:
        # Keras insists on a path with this ending, so it can't write to a stream.
        with tempfile.TemporaryDirectory(dir=make_folder(path.parent)) as folder:
            whole = Path(folder) / "whole.weights.h5"
            with _bare(model):
                model.save_weights(whole)
            with open(whole, "rb") as source, replacing(path) as target:
                shutil.copyfileobj(source, target)
    except OSError as problem:
        raise EdgecapError(
            f"can't write {str(path)!r} ({problem.strerror or problem}); free some space or choose "
            "another place"
        ) from problem


def load_weights(model: Any, path: Path) -> None:
    """Read what `save_weights` wrote.

    Raises:
        EdgecapError: the file is missing, damaged, or of another model.
    """
    try:
        with _bare(model):
            model.load_weights(path)
    except Exception as problem:
        raise EdgecapError(
            f"the weights {str(path)!r} can't be loaded ({first_line(problem)}); "
            "restore the file, or train again"
        ) from problem


@contextmanager
def _bare(model: Any) -> Iterator[None]:
    """Take a compiled model's optimizer away for a while.

    Keras saves it among the weights, three times the size for Adam, and misses it when loading.
    """
    optimizer, model.optimizer = getattr(model, "optimizer", None), None
    try:
        yield
    finally:
        model.optimizer = optimizer
