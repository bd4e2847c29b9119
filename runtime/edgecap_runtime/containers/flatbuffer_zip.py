"""Entries of a .tflite file: a ZIP behind the flatbuffer, as TFLite metadata keeps its files."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO

from ..errors import BundleError

__all__ = ["append", "read", "recognises"]

# Entries are dated alike, so that the same export gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def recognises(head: bytes) -> bool:
    """Tell whether these first bytes carry the flatbuffer's file identifier."""
    return head[4:8] == b"TFL3"


def read(name: str, stream: IO[bytes], size: int) -> dict[str, bytes]:
    """Read the ZIP's entries; raises `BundleError` where there is no whole ZIP."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return {entry: archive.read(entry) for entry in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        raise BundleError(
            f"{name} is a .tflite model without edgecap's entries, or is truncated; copy it again, "
            "or make a captioner with: edgecap export"
        ) from None


def append(model: bytes, entries: Mapping[str, bytes]) -> bytes:
    """Put a ZIP of the entries behind the flatbuffer, in place of one that is there."""
    out = io.BytesIO(model[: _flatbuffer_size(model)])
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            archive.writestr(
                zipfile.ZipInfo(entry, _DATE), content, compress_type=zipfile.ZIP_DEFLATED
            )
    return out.getvalue()


def _flatbuffer_size(model: bytes) -> int:
    """Give the length of what lies before a ZIP (all of it where there is none)."""
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            first = min(archive.infolist(), key=lambda item: item.header_offset, default=None)
            return archive.start_dir if first is None else first.header_offset
    except zipfile.BadZipFile:
        return len(model)
