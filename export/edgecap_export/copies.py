"""Which files are byte for byte the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["copies_of"]


def copies_of(photos: Sequence[Any], paths: Sequence[Path]) -> frozenset[Path]:
    """Return those of `paths` that hold the same bytes as one of the photographs.

    photos: paths, or encoded files' bytes; pictures in memory are the same as no file. A file that
    can't be read is the same as no other.
    """
    by_size: dict[int, set[bytes]] = {}
    for photo in photos:
        with suppress(OSError):
            if isinstance(photo, (str, os.PathLike)):
                content = Path(photo).read_bytes()
            elif isinstance(photo, (bytes, bytearray, memoryview)):
                content = bytes(photo)
            else:
                continue
            by_size.setdefault(len(content), set()).add(content)
    found = set()
    for path in paths:
        with suppress(OSError):
            # The size first, so that of thousands of photographs hardly any is read.
            same_size = by_size.get(path.stat().st_size)
            if same_size and path.read_bytes() in same_size:
                found.add(path)
    return frozenset(found)
