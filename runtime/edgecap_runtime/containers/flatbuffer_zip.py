"""Entries of a .tflite file: a ZIP behind the flatbuffer, as TFLite metadata keeps its files.

The ZIP is read by its central directory (PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16):
stored and deflated entries, no ZIP64, no encryption. The standard library's `zipfile` writes it
but does not read it, for it unpacks before it knows how much will come.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ..errors import BundleError
from ..limits import ENTRIES, ENTRIES_BYTES, ENTRY_BYTES, ENTRY_NAME_BYTES
from .checksum import NO_DIGITS

__all__ = ["CHECKSUM_BEFORE", "CHECKSUM_KEY", "append", "read", "recognises"]

CHECKSUM_KEY = b"edgecap-crc32:"
"""Begins the ZIP's comment; the digits behind it are the file's last bytes."""
CHECKSUM_BEFORE = struct.pack("<H", len(CHECKSUM_KEY) + len(NO_DIGITS)) + CHECKSUM_KEY
"""What stands before the digits: the length of the comment, and its begin."""

# Entries are dated alike, so that the same export gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)

_END, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_END_RECORD = struct.Struct("<4s4H2LH")
_CENTRAL_RECORD = struct.Struct("<4s6H3L5H2L")
_LOCAL_RECORD = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED = 1
_STORED, _DEFLATED = 0, 8


class _BrokenError(Exception):
    """There is no whole ZIP."""


@dataclass(frozen=True)
class _Item:
    """An entry as the ZIP's central directory has it."""

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int
    """Index of its local header in the file."""


def recognises(head: bytes) -> bool:
    """Return whether these first bytes carry the flatbuffer's file identifier."""
    return head[4:8] == b"TFL3"


def read(name: str, content: bytes) -> dict[str, bytes]:
    """Read the ZIP's entries; raises `BundleError` where there is no whole ZIP within limits."""
    try:
        items, directory = _directory(name, content)
        _check_sizes(name, items)
        spans = [_span(content, item) for item in items]
        _check_apart(spans, directory)
        return {
            item.name: _unpacked(content, item, *span)
            for item, span in zip(items, spans, strict=True)
        }
    except (_BrokenError, struct.error, zlib.error):
        raise BundleError(
            f"{name} is a .tflite model without edgecap's entries, or is truncated; copy it again, "
            "or make a captioner with: edgecap export"
        ) from None


def append(model: bytes, entries: Mapping[str, bytes]) -> bytearray:
    """Put a ZIP of the entries behind the flatbuffer, in place of one that is there."""
    # Not needed to read a file, and slow to import.
    import zipfile

    out = io.BytesIO(model[: _flatbuffer_size(model)])
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = CHECKSUM_KEY + NO_DIGITS
        for entry, content in entries.items():
            archive.writestr(
                zipfile.ZipInfo(entry, _DATE), content, compress_type=zipfile.ZIP_DEFLATED
            )
    return bytearray(out.getbuffer())


def _flatbuffer_size(model: bytes) -> int:
    """Return the length of what lies before a ZIP (all of it where there is none)."""
    try:
        items, directory = _directory("The model", model)
    except (_BrokenError, struct.error):
        return len(model)
    return min((item.offset for item in items), default=directory)


def _directory(name: str, content: bytes) -> tuple[list[_Item], int]:
    """Return the entries that the central directory lists, and the directory's index."""
    end = _end_record(content)
    _, _, _, here, count, size, offset, _ = _END_RECORD.unpack_from(content, end)
    start = end - size
    # Offsets count from where the ZIP's writer took the file to begin.
    shift = start - offset
    if start < 0 or shift < 0 or here != count:
        raise _BrokenError
    if count > ENTRIES:
        raise BundleError(
            f"{name} has {count} entries, and {ENTRIES} are the most that are read; export the "
            "captioner again."
        )
    items = list(_items(name, content, start, end, count, shift))
    if len({item.name for item in items}) < len(items):
        raise BundleError(f"{name} has two entries of one name; export the captioner again.")
    return items, start


def _end_record(content: bytes) -> int:
    last = len(content) - _END_RECORD.size
    least = max(0, last - _LONGEST_COMMENT)
    index = content.rfind(_END, least, max(0, last + len(_END)))
    while index >= 0:
        # Its last field is the length of the comment, which ends the file.
        if _END_RECORD.unpack_from(content, index)[-1] == last - index:
            return index
        index = content.rfind(_END, least, index + len(_END) - 1)
    raise _BrokenError


def _items(
    name: str, content: bytes, start: int, end: int, count: int, shift: int
) -> Iterator[_Item]:
    index = start
    for _ in range(count):
        record = _CENTRAL_RECORD.unpack_from(content, index)
        magic, _, _, flags, method, _, _, crc, packed_size, size, *lengths = record[:13]
        if magic != _CENTRAL:
            raise _BrokenError
        index += _CENTRAL_RECORD.size
        if lengths[0] > ENTRY_NAME_BYTES:
            raise BundleError(
                f"{name} has an entry whose name takes {lengths[0]} bytes, and {ENTRY_NAME_BYTES} "
                "are the most that are read; export the captioner again."
            )
        # Any byte is a character, as in old ZIPs; edgecap's names are ASCII.
        entry = content[index : index + lengths[0]].decode("utf-8", "replace")
        yield _Item(entry, flags, method, crc, packed_size, size, record[16] + shift)
        index += sum(lengths)
    if index != end:
        raise _BrokenError


def _check_sizes(name: str, items: list[_Item]) -> None:
    for item in items:
        largest = max(item.size, item.packed_size)
        if largest > ENTRY_BYTES:
            raise BundleError(
                f"{name} has an entry {item.name!r} of {largest} bytes, and {ENTRY_BYTES} are the "
                "most that are read; export the captioner again."
            )
        if item.flags & _ENCRYPTED or item.method not in (_STORED, _DEFLATED):
            raise BundleError(
                f"{name} has an entry {item.name!r} that is encrypted or packed in another way "
                "than by deflate; export the captioner again."
            )
    total = sum(item.size for item in items)
    if total > ENTRIES_BYTES:
        raise BundleError(
            f"{name} has entries of {total} bytes together, and {ENTRIES_BYTES} are the most that "
            "are read; export the captioner again."
        )


def _span(content: bytes, item: _Item) -> tuple[int, int]:
    """Return the indices at which an entry's packed content begins and ends."""
    magic, *_, name_length, extra = _LOCAL_RECORD.unpack_from(content, item.offset)
    begin = item.offset + _LOCAL_RECORD.size + name_length + extra
    if magic != _LOCAL or begin + item.packed_size > len(content):
        raise _BrokenError
    return begin, begin + item.packed_size


def _check_apart(spans: list[tuple[int, int]], directory: int) -> None:
    """Refuse contents that lie over each other or over the directory: a bomb's trick."""
    if any(end > begin for (_, end), (begin, _) in pairwise([*sorted(spans), (directory, 0)])):
        raise _BrokenError


def _unpacked(content: bytes, item: _Item, begin: int, end: int) -> bytes:
    found = content[begin:end]
    if item.method == _DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        # At most one byte more than the directory says, whatever the stream holds.
        found = inflater.decompress(found, item.size + 1)
        if not inflater.eof or inflater.unused_data:
            raise _BrokenError
    if len(found) != item.size or zlib.crc32(found) != item.crc:
        raise _BrokenError
    return found
