"""A photograph to time with where none is at hand: the same on every machine."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["SYNTHETIC_NAME", "synthetic_photograph"]

SYNTHETIC_NAME = "synthetic 500 x 375, seed 8"
_SIZE = (500, 375)
_SEED = 8
_CELL = 25
_NOISE = 6.0
_QUALITY = 90


def synthetic_photograph() -> bytes:
    """Give a JPEG of 500 x 375 that costs what a camera's costs: soft shapes with sensor noise.

    Its captions mean nothing.
    """
    chance = np.random.default_rng(_SEED)
    width, height = _SIZE
    cells = chance.integers(0, 256, (height // _CELL, width // _CELL, 3)).astype(np.uint8)
    shapes = Image.fromarray(cells).resize(_SIZE, Image.Resampling.BICUBIC)
    soft = np.asarray(shapes.filter(ImageFilter.GaussianBlur(2)), np.float32)
    noisy = soft + chance.normal(0, _NOISE, soft.shape)
    picture = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
