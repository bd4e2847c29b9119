"""Models that Keras or tf_keras itself has loaded: their record and weights as a graph."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def living_weights(model: Any, path: str = "") -> dict[str, list[np.ndarray]]:
    """Take the arrays of a loaded model's layers.

    Args:
        model: a `keras.Model` or `tf_keras.Model`.
        path: names of the models around it, each with a slash behind.

    Returns:
        Arrays by the layer's name.
    """
    found: dict[str, list[np.ndarray]] = {}
    for layer in model.layers:
        name = path + layer.name
        # A wrapper such as TimeDistributed has no layers; only models do.
        if hasattr(layer, "layers"):
            found |= living_weights(layer, f"{name}/")
        else:
            found[name] = [np.asarray(array) for array in layer.get_weights()]
    return found


def living_layers(model: Any, path: str = "") -> dict[str, Any]:
    """Give a loaded model's layers by their names in its graph."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        name = path + layer.name
        found |= living_layers(layer, f"{name}/") if hasattr(layer, "layers") else {name: layer}
    return found


def record_of(model: Any) -> Mapping[str, Any]:
    """Give a loaded model's record as Keras writes it to files."""
    return {"class_name": type(model).__name__, "config": model.get_config()}


@contextmanager
def called(path: Path, suffix: str) -> Iterator[Path]:
    """Give a path to the same file that ends in `suffix`: Keras goes by the name."""
    if path.name.endswith(suffix):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link
