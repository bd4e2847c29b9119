"""Tells whether a picture shows something else than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ChangeDetector"]

_SIDE = 16
_STEP = 12.0
"""Grey levels by which a cell must differ; a camera's noise, averaged over a cell, is below 2."""
_SHARE = 0.02
"""Share of the cells that must differ: 6 of 256, a person at the far end of a room."""


class ChangeDetector:
    """Compares pictures by the mean grey of 16 x 16 cells.

    The median of all cells' differences is taken off first, so that a cloud, or the camera's
    exposure, changes nothing.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None

    def changed(self, pixels: NDArray[np.uint8]) -> bool:
        """Compare with the last picture that had changed; the first has always.

        pixels: uint8 [height, width, 3]. A picture that has changed is what the next one is
        compared with.
        """
        grey = Image.fromarray(pixels).convert("L")
        cells = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)
        if self._before is not None:
            difference = cells - self._before
            difference -= np.median(difference)
            if float(np.mean(np.abs(difference) > _STEP)) < _SHARE:
                return False
        self._before = cells
        return True
