"""The pictures over which an export is compared with Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecap_export.progress import Progress
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation, prepare

__all__ = ["Pictures", "generated_pictures", "prepared_pictures"]

_GENERATED = 8


@dataclass(frozen=True)
class Pictures:
    """Prepared pictures."""

    names: tuple[str, ...]
    """What reports call them."""
    pixels: NDArray[np.uint8]
    """uint8 [images, H, W, 3]."""
    generated: bool
    """Whether they are no photographs."""


def prepared_pictures(
    images: Sequence[Any], preparation: Preparation, progress: Progress
) -> Pictures:
    """Prepare photographs (paths, bytes, Pillow images or arrays) as the runtime does.

    Raises `OptionError` if there are none, `ImageError` for one that can't be read.
    """
    if not len(images):
        raise OptionError(
            "There are no images to compare with Keras on; give at least 1 (100 prove an export)."
        )
    names, pixels = [], []
    for place, image in enumerate(images):
        progress("prepare", place, len(images))
        names.append(
            os.fspath(image) if isinstance(image, (str, os.PathLike)) else f"image {place}"
        )
        pixels.append(prepare(image, preparation))
    progress("prepare", len(images), len(images))
    return Pictures(tuple(names), np.stack(pixels), generated=False)


def generated_pictures(preparation: Preparation) -> Pictures:
    """Make a few pictures of colour patches and noise, the same at each call.

    They show whether a file computes what it should; what it says about them means nothing.
    """
    random = np.random.default_rng(0)
    size = (preparation.height, preparation.width, 3)
    pixels = []
    for place in range(_GENERATED):
        patches = random.uniform(0, 255, (2 + place, 2 + place, 3))
        rows, columns = (np.arange(side) * len(patches) // side for side in size[:2])
        noisy = patches[rows][:, columns] + random.normal(0, 4 * place, size)
        pixels.append(np.clip(noisy, 0, 255).astype(np.uint8))
    names = tuple(f"generated picture {place}" for place in range(_GENERATED))
    return Pictures(names, np.stack(pixels), generated=True)
