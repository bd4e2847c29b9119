"""The small pictures that a file checks itself by: made, captioned by Keras and by the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecap_export.pictures import generated_pictures
from edgecap_export.reference import greedy_captions
from edgecap_runtime.backends import default_threads, interpreter_of, open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.check_entry import (
    SIDE,
    CheckPicture,
    KerasAnswer,
    SelfCheck,
    enlarged,
    pack_picture,
)
from edgecap_runtime.checking import measure, this_machine
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation, prepare

if TYPE_CHECKING:
    from edgecap_export.reference import PrefixModel
    from edgecap_export.source import CaptionerSource

__all__ = ["CHECK_PICTURES", "CheckedByKeras", "ask_keras", "self_check"]

CHECK_PICTURES = 4
"""Pictures in a file."""

_MOST_TEXT = 60_000
"""Most characters of the pictures' base64 together."""
_SMALL = Preparation(SIDE, SIDE)


@dataclass(frozen=True)
class CheckedByKeras:
    """One of the pictures, with what Keras says of it."""

    name: str
    """Its file's name without folders, or its number."""
    pixels: NDArray[np.uint8]
    """uint8 [SIDE, SIDE, 3]."""
    keras: KerasAnswer
    """What Keras says."""


def ask_keras(
    source: CaptionerSource, model: PrefixModel, photos: Sequence[Any]
) -> tuple[CheckedByKeras, ...]:
    """Make the pictures of the first four photographs, and caption them by Keras.

    photos: paths, bytes, Pillow images or uint8 arrays; none for generated pictures. Raises
    `OptionError` for one, two or three, `ImageError` for one that can't be read.
    """
    names, pictures = _pictures(photos)
    size = source.preparation
    pixels = np.stack([enlarged(picture, size.height, size.width) for picture in pictures])
    features = model.features(pixels)
    captions, scores = greedy_captions(model, features, source.vocabulary, source.defaults)
    return tuple(
        CheckedByKeras(name, picture, KerasAnswer(ids, values))
        for name, picture, ids, values in zip(names, pictures, captions, scores, strict=True)
    )


def self_check(path: Path, pictures: Sequence[CheckedByKeras], tolerance: float) -> SelfCheck:
    """Ask a packed file about the pictures; return the entry that it is to carry.

    tolerance: nats. Raises `BundleError` where the interpreter fails or says what is no number.
    """
    manifest = read_manifest(path)
    threads = default_threads()
    backend = open_backend(path, manifest, threads)
    try:
        said = [measure(backend, manifest, picture.pixels, picture.keras) for picture in pictures]
        machine = this_machine(interpreter_of(backend), threads)
    finally:
        backend.close()
    return SelfCheck(
        tolerance,
        machine,
        tuple(
            CheckPicture(picture.name, pack_picture(picture.pixels), picture.keras, one.answer)
            for picture, one in zip(pictures, said, strict=True)
        ),
    )


def _pictures(photos: Sequence[Any]) -> tuple[list[str], list[NDArray[np.uint8]]]:
    if not len(photos):
        made = generated_pictures(_SMALL)
        return list(made.names[:CHECK_PICTURES]), _packable(list(made.pixels[:CHECK_PICTURES]))
    if len(photos) < CHECK_PICTURES:
        raise OptionError(
            f"There are {len(photos)} photographs for a file to check itself by; give "
            f"{CHECK_PICTURES} or more, of which the first {CHECK_PICTURES} are taken."
        )
    chosen = photos[:CHECK_PICTURES]
    names = [
        os.path.basename(photo) if isinstance(photo, (str, os.PathLike)) else f"picture {index}"
        for index, photo in enumerate(chosen)
    ]
    return names, _packable([prepare(photo, _SMALL) for photo in chosen])


def _packable(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Clear low bits of all pixels, as few as make the pictures small enough for the file."""
    coarse, mask = pictures, 0xFF
    while sum(len(pack_picture(picture)) for picture in coarse) > _MOST_TEXT:
        mask = mask << 1 & 0xFF
        coarse = [picture & np.uint8(mask) for picture in pictures]
    return coarse
