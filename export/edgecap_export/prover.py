"""A captioner's Keras side of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecap_export.check_pictures import CheckedByKeras, ask_keras
from edgecap_export.pictures import Pictures, generated_pictures, prepared_pictures
from edgecap_export.progress import Progress, silent
from edgecap_export.reference import PrefixModel, Reference, compute_reference
from edgecap_export.source import CaptionerSource

__all__ = ["Prover"]


class Prover:
    """What Keras says about some images, computed once for any number of exports."""

    def __init__(
        self,
        source: CaptionerSource,
        images: Sequence[Any] | None = None,
        progress: Progress | None = None,
        check_pictures: Sequence[Any] | None = None,
    ) -> None:
        """Prepare and caption the images.

        Args:
            source: the captioner.
            images: photographs (paths, bytes, Pillow images or uint8 arrays), or None for a few
                generated pictures.
            progress: told of progress (stage, done, total).
            check_pictures: photographs of which the first four become the pictures that each file
                checks itself by; None for the source's, or generated ones where it has none.

        Raises:
            OptionError: the images are none, or the check pictures fewer than four.
            ImageError: one of them can't be read.
        """
        tell = progress or silent
        self.source = source
        self.pictures: Pictures = (
            generated_pictures(source.preparation)
            if images is None
            else prepared_pictures(images, source.preparation, tell)
        )
        self.model = PrefixModel(source)
        self.reference: Reference = compute_reference(
            source, self.pictures.pixels, self.model, tell
        )
        given = source.check_pictures if check_pictures is None else check_pictures
        self.check_pictures: tuple[CheckedByKeras, ...] = ask_keras(source, self.model, given)
