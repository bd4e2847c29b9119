"""Views of a photograph: mirrored or cropped, as training looks at it more than once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgecap_runtime.preparation import Preparation, open_photo, prepare


@dataclass(frozen=True)
class View:
    """One look at a photograph."""

    mirrored: bool = False
    """Whether left and right are exchanged."""

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right and bottom of what is seen, as shares of the width and the height."""

    def pixels(self, path: Path, preparation: Preparation) -> np.ndarray:
        """Prepare what is seen; uint8 [height, width, 3]. Raises `ImageError`."""
        pixels = prepare(self._seen(path, preparation), preparation)
        return pixels[:, ::-1] if self.mirrored else pixels

    def _seen(self, path: Path, preparation: Preparation) -> Path | Image.Image:
        if self.box == WHOLE.box:
            return path
        image = open_photo(path, preparation)
        sides = (image.width, image.height) * 2
        left, top, right, bottom = (
            round(share * side) for share, side in zip(self.box, sides, strict=True)
        )
        return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


WHOLE = View()
"""The photograph as the captioner will see it."""


def random_view(dice: np.random.Generator, least_side: float) -> View:
    """Draw a view: mirrored or not, of at least a share of the photograph's sides.

    Both sides are cut alike, so that the picture keeps its shape.
    """
    side = dice.uniform(least_side, 1.0)
    left, top = dice.uniform(0, 1 - side, 2)
    return View(bool(dice.integers(2)), (left, top, left + side, top + side))


@dataclass(frozen=True)
class ViewOfEach:
    """Which view of each photograph a set of features holds."""

    mirrored: bool = False
    """Whether each is mirrored; for crops it is left to chance."""

    crop: int = 0
    """0 for the whole photograph, or the number of a random crop of each."""

    least_side: float = 1.0
    """Smallest side of a crop, as a share of the photograph's."""

    @property
    def name(self) -> str:
        """Tells one set of features from another of the same encoder."""
        if self.crop:
            return f"-crop{self.crop}-{self.least_side:g}"
        return "-mirrored" if self.mirrored else ""

    def of(self, key: str) -> View:
        """Give the view of the photograph whose bytes have this hexadecimal hash."""
        if self.crop:
            return random_view(np.random.default_rng((int(key, 16), self.crop)), self.least_side)
        return View(mirrored=self.mirrored)


AS_THEY_ARE = ViewOfEach()
"""All of every photograph."""


def training_views(*, mirrored: bool, crops: int, least_side: float) -> tuple[ViewOfEach, ...]:
    """Give the sets of views that a training learns from, the whole photographs first."""
    whole = (False, True) if mirrored else (False,)
    return (
        *(ViewOfEach(mirrored=flag) for flag in whole),
        *(ViewOfEach(crop=number + 1, least_side=least_side) for number in range(crops)),
    )
