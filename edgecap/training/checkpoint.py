"""A training's state in one file, replaced whole after each epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import EdgecapError


@dataclass(frozen=True)
class Epoch:
    """What one pass over the captions brought."""

    epoch: int
    """Counted from 1."""

    phase: str
    """"words", "encoder" or "captions"; see `edgecap.training.phases`."""

    loss: float | None
    """Mean training loss a word, smoothing included; None where captions were learned."""

    reward: float | None
    """Mean reward of the captions that were sampled; None where words were learned."""

    learning_rate: float
    """Adam's in this epoch."""

    bleu: tuple[float, float, float, float]
    """Corpus BLEU-1 to 4 on dev, 0 to 100, by a beam of `TrainingOptions.dev_beam`."""

    seconds: float
    """Training and scoring together."""

    cider_d: float | None = None
    """CIDEr-D on dev, 0 to 10, likewise; None in a training begun before it was kept."""


def write_checkpoint(
    path: Path, model: Any, history: list[Epoch], settings: dict[str, Any]
) -> None:
    """Write weights, the optimizer's state, the epochs so far and the settings.

    Raises:
        EdgecapError: the file can't be written; the one before stays.
    """
    about = {"settings": settings, "history": [vars(epoch) for epoch in history]}
    arrays = {f"weight_{place}": array for place, array in enumerate(model.get_weights())}
    arrays |= {
        f"optimizer_{place}": np.asarray(variable)
        for place, variable in enumerate(_optimizer_arrays(model))
    }
    with replacing(path) as stream:
        np.savez(stream, about=np.array(json.dumps(about)), **arrays)


def read_checkpoint(path: Path) -> tuple[list[Epoch], dict[str, Any], dict[str, np.ndarray]]:
    """Read the epochs, the settings and the arrays for `restore`.

    Raises:
        EdgecapError: the file is damaged.
    """
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files if name != "about"}
            about = json.loads(str(archive["about"]))
        history = [Epoch(**{**row, "bleu": tuple(row["bleu"])}) for row in about["history"]]
        return history, about["settings"], arrays
    except Exception as problem:
        raise EdgecapError(
            f"the checkpoint {str(path)!r} can't be read ({problem}); delete it to start anew"
        ) from problem


def restore(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Put a checkpoint's arrays into a compiled model and its optimizer."""
    count = sum(name.startswith("weight_") for name in arrays)
    model.set_weights([arrays[f"weight_{place}"] for place in range(count)])
    model.optimizer.build(model.trainable_variables)
    for place, variable in enumerate(model.optimizer.variables):
        variable.assign(arrays[f"optimizer_{place}"])


def _optimizer_arrays(model: Any) -> list[Any]:
    from keras import ops

    return [ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
