"""Photographs as a camera gives them: many pixels, and noise in every one."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["as_taken"]

_NOISE = 6.0
"""Standard deviation of the noise, of 255: a phone's by indoor light. Without noise an enlarged
picture compresses to nothing, and decodes in no time."""
_QUALITY = 92
_BLOCK = 16
"""Sides are whole blocks of a JPEG, as cameras' are. Other sizes lose part of a pixel at the edge
when they are decoded at a reduced scale, which moves the picture by as much."""


def as_taken(photo: Path, megapixels: float, *, progressive: bool, seed: int) -> bytes:
    """Enlarge a photograph to a camera's size, with its noise.

    Args:
        photo: the file.
        megapixels: pixels wanted, in 10^6; sides nearly keep their ratio.
        progressive: whether the JPEG is written progressively.
        seed: of the noise.

    Returns:
        A JPEG with chroma at half the resolution.
    """
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    scale = math.sqrt(megapixels * 1e6 / (image.width * image.height))
    across, down = (_BLOCK * round(side * scale / _BLOCK) for side in image.size)
    large = np.asarray(image.resize((across, down), Image.Resampling.BICUBIC), np.float32)
    noise = np.random.default_rng(seed).standard_normal(large.shape, np.float32)
    noisy = Image.fromarray(np.clip(large + _NOISE * noise, 0, 255).astype(np.uint8))
    stream = io.BytesIO()
    noisy.save(stream, "JPEG", quality=_QUALITY, subsampling="4:2:0", progressive=progressive)
    return stream.getvalue()
