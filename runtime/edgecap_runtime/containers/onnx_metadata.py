"""Entries of an .onnx file: `metadata_props`, read and written without the onnx package.

Only the top level of the protobuf is walked (https://protobuf.dev/programming-guides/encoding):
ModelProto has metadata_props as field 14, each a StringStringEntryProto with the key as field 1
and the value as field 2. Serialized messages may be concatenated, so entries go behind the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import BundleError
from ..limits import ENTRIES, ENTRIES_BYTES, ENTRY_BYTES, ENTRY_NAME_BYTES, FIELDS
from ..manifest import ENTRY_NAMES
from .checksum import NO_DIGITS

__all__ = ["CHECKSUM_BEFORE", "CHECKSUM_KEY", "append", "read", "recognises"]

_GRAPH = 7
_METADATA = 14
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
# The fields of ModelProto as of ONNX 1.20; a first byte that opens none of them is no model.
_FIELDS = {
    1: _VARINT,
    2: _LENGTH,
    3: _LENGTH,
    4: _LENGTH,
    5: _VARINT,
    6: _LENGTH,
    7: _LENGTH,
    8: _LENGTH,
    14: _LENGTH,
    20: _LENGTH,
    25: _LENGTH,
    26: _LENGTH,
}
_ENTRY_FIELDS = {1: _LENGTH, 2: _LENGTH}
_LONGEST_VARINT = 10
_MOST = (1 << 64) - 1


class _BrokenError(Exception):
    """The bytes are no protobuf message, or end too early."""


def recognises(head: bytes) -> bool:
    """Return whether these first bytes are fields of a ModelProto, an ir_version first.

    Protobuf has no magic; every exporter writes the small ir_version (field 1) first.
    """
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40 and _starts_field(head[2:])


def _starts_field(head: bytes) -> bool:
    try:
        key, _ = _varint(head, 0, len(head))
    except _BrokenError:
        return False
    return _FIELDS.get(key >> 3) == key & 7


def read(name: str, content: bytes) -> dict[str, bytes]:
    """Read the entries, not the weights; raises `BundleError` for none, or beyond the limits."""
    try:
        entries = _entries(name, content)
    except _BrokenError:
        raise BundleError(
            f"{name} is truncated or no .onnx model; copy or export the captioner again."
        ) from None
    if not entries:
        raise BundleError(
            f"{name} is an .onnx model without edgecap's entries, or is truncated; copy it again, "
            "or make a captioner with: edgecap export"
        )
    return entries


def _entries(name: str, content: bytes) -> dict[str, bytes]:
    """Read the entries, none where there is no graph."""
    entries: dict[str, bytes] = {}
    graph = False
    total = 0
    for field, start, end in _contents(content, 0, len(content), _FIELDS):
        graph = graph or field == _GRAPH
        if field != _METADATA:
            continue
        total += end - start
        if end - start > ENTRY_BYTES or total > ENTRIES_BYTES or len(entries) >= ENTRIES:
            raise BundleError(
                f"{name} has more metadata than is read: {ENTRIES} records, {ENTRY_BYTES} bytes of "
                f"one and {ENTRIES_BYTES} of all are the most; export the captioner again."
            )
        key, value = _entry(content, start, end)
        if key in entries:
            raise BundleError(f"{name} has two entries of one name; export the captioner again.")
        entries[key] = value
    return entries if graph else {}


def append(model: bytes, entries: Mapping[str, bytes]) -> bytearray:
    """Put the entries behind the serialized model, in place of edgecap's entries that are there."""
    out = bytearray()
    replaced = {*ENTRY_NAMES, *entries, CHECKSUM_KEY.decode()}
    kept = 0
    try:
        for field, start, end in _contents(model, 0, len(model), _FIELDS):
            if field == _METADATA and _entry(model, start, end)[0] in replaced:
                out += memoryview(model)[kept : _record_start(start, end - start)]
                kept = end
    except _BrokenError:
        raise BundleError("The model is truncated or no .onnx model; export it again.") from None
    out += memoryview(model)[kept:]
    for key, value in entries.items():
        content = _record(1, key.encode("utf-8")) + _record(2, value)
        out += _record(_METADATA, content)
    return out + CHECKSUM_BEFORE + NO_DIGITS


def _record_start(start: int, length: int) -> int:
    """Return where the record begins whose content begins at `start` (its key is 1 byte)."""
    return start - 1 - len(_varint_bytes(length))


def _contents(
    content: bytes, index: int, end: int, fields: Mapping[int, int]
) -> Iterator[tuple[int, int, int]]:
    """Yield (field, start, end) of the content of all length-delimited fields of a message.

    index, end: where the message lies; fields: the wire types of its known fields.
    """
    for _ in range(FIELDS):
        if index >= end:
            break
        key, index = _varint(content, index, end)
        field, kind = key >> 3, key & 7
        if fields.get(field, kind) != kind or field == 0:
            raise _BrokenError
        if kind == _LENGTH:
            length, index = _varint(content, index, end)
            if length > end - index:
                raise _BrokenError
            yield field, index, index + length
            index += length
            continue
        if kind == _VARINT:
            _, index = _varint(content, index, end)
        elif kind in (_FIXED32, _FIXED64):
            index += 4 if kind == _FIXED32 else 8
        else:
            raise _BrokenError
    if index != end:
        raise _BrokenError


def _entry(content: bytes, start: int, end: int) -> tuple[str, bytes]:
    found = {1: b"", 2: b""}
    for field, first, last in _contents(content, start, end, _ENTRY_FIELDS):
        if field == 1 and last - first > ENTRY_NAME_BYTES:
            raise _BrokenError
        if field in found:
            found[field] = content[first:last]
    try:
        return found[1].decode("utf-8"), found[2]
    except UnicodeDecodeError:
        raise _BrokenError from None


def _varint(content: bytes, index: int, end: int) -> tuple[int, int]:
    """Return a number that begins at an index, and the index behind it."""
    value = 0
    for shift in range(_LONGEST_VARINT):
        if index >= end:
            break
        byte = content[index]
        index += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80 and value <= _MOST:
            return value, index
    raise _BrokenError


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _record(field: int, content: bytes) -> bytes:
    return _varint_bytes(field << 3 | _LENGTH) + _varint_bytes(len(content)) + content


CHECKSUM_KEY = b"edgecap.crc32"
"""Key of the last metadata record; the digits, its value, are the file's last bytes."""
CHECKSUM_BEFORE = _record(_METADATA, _record(1, CHECKSUM_KEY) + _record(2, NO_DIGITS)).removesuffix(
    NO_DIGITS
)
"""What stands before the digits: all of the record but its value."""
