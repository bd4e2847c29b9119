"""The photographs of a folder."""

from __future__ import annotations

import os

from .errors import ImageError

__all__ = ["PHOTO_SUFFIXES", "photographs_in"]

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Endings of the names of photographs, in lower case."""


def photographs_in(folder: str | os.PathLike[str]) -> list[str]:
    """List the photographs of a folder, as paths in alphabetical order; folders in it are left out.

    Raises `ImageError` if it can't be read or holds none.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.is_dir())
    except OSError as error:
        raise ImageError(
            f"Unable to read the folder {os.fspath(folder)} ({error.strerror}); check its path and "
            "permissions."
        ) from None
    inside = [name for name in names if name.lower().endswith(PHOTO_SUFFIXES)]
    if not inside:
        raise ImageError(
            f"The folder {os.fspath(folder)} holds no photograph; those end in "
            f"{', '.join(PHOTO_SUFFIXES)}."
        )
    return [os.path.join(folder, name) for name in inside]
