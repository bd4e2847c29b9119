"""Entries of an .onnx file: `metadata_props`, read and written without the onnx package.

Only the top level of the protobuf is walked (https://protobuf.dev/programming-guides/encoding):
ModelProto has metadata_props as field 14, each a StringStringEntryProto with the key as field 1
and the value as field 2. Serialized messages may be concatenated, so entries go behind the model.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import IO

from ..errors import BundleError
from ..manifest import ENTRY_NAMES

__all__ = ["append", "read", "recognises"]

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


class _BrokenError(Exception):
    """The bytes are no protobuf message, or end too early."""


def recognises(head: bytes) -> bool:
    """Tell whether these first bytes are fields of a ModelProto, an ir_version first.

    Protobuf has no magic; every exporter writes the small ir_version (field 1) first.
    """
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40 and _starts_field(head[2:])


def _starts_field(head: bytes) -> bool:
    try:
        key, _ = _varint(io.BytesIO(head))
    except _BrokenError:
        return False
    return _FIELDS.get(key >> 3) == key & 7


def read(name: str, stream: IO[bytes], size: int) -> dict[str, bytes]:
    """Read the entries; the weights are skipped, not read. Raises `BundleError`."""
    entries: dict[str, bytes] = {}
    graph = False
    try:
        for field, start, length in _contents(stream, size, _FIELDS):
            graph = graph or field == _GRAPH
            if field == _METADATA:
                stream.seek(start)
                key, value = _entry(stream.read(length))
                entries[key] = value
    except _BrokenError:
        raise BundleError(
            f"{name} is truncated or no .onnx model; copy or export the captioner again."
        ) from None
    if not graph or not entries:
        raise BundleError(
            f"{name} is an .onnx model without edgecap's entries, or is truncated; copy it again, "
            "or make a captioner with: edgecap export"
        )
    return entries


def append(model: bytes, entries: Mapping[str, bytes]) -> bytes:
    """Put the entries behind the serialized model, in place of edgecap's entries that are there."""
    stream = io.BytesIO(model)
    pieces: list[bytes] = []
    replaced = {*ENTRY_NAMES, *entries}
    kept = 0
    try:
        for field, start, length in _contents(stream, len(model), _FIELDS):
            if field == _METADATA and _entry(model[start : start + length])[0] in replaced:
                pieces.append(model[kept : _record_start(start, length)])
                kept = start + length
    except _BrokenError:
        raise BundleError("The model is truncated or no .onnx model; export it again.") from None
    pieces.append(model[kept:])
    for key, value in entries.items():
        content = _record(1, key.encode("utf-8")) + _record(2, value)
        pieces.append(_record(_METADATA, content))
    return b"".join(pieces)


def _record_start(start: int, length: int) -> int:
    """Give where the record begins whose content begins at `start` (its key is 1 byte)."""
    return start - 1 - len(_varint_bytes(length))


def _contents(
    stream: IO[bytes], size: int, fields: Mapping[int, int]
) -> Iterator[tuple[int, int, int]]:
    """Yield (field, start of the content, its length) for all length-delimited fields.

    fields: the wire types of the message's known fields.
    """
    place = 0
    while place < size:
        stream.seek(place)
        key, width = _varint(stream)
        field, kind = key >> 3, key & 7
        if fields.get(field, kind) != kind:
            raise _BrokenError
        place += width
        if kind == _VARINT:
            place += _varint(stream)[1]
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        elif kind == _LENGTH:
            length, width = _varint(stream)
            place += width
            if place + length > size:
                raise _BrokenError
            yield field, place, length
            place += length
        else:
            raise _BrokenError
    if place != size:
        raise _BrokenError


def _entry(content: bytes) -> tuple[str, bytes]:
    found = {1: b"", 2: b""}
    known = {1: _LENGTH, 2: _LENGTH}
    for field, start, length in _contents(io.BytesIO(content), len(content), known):
        if field in found:
            found[field] = content[start : start + length]
    try:
        return found[1].decode("utf-8"), found[2]
    except UnicodeDecodeError:
        raise _BrokenError from None


def _varint(stream: IO[bytes]) -> tuple[int, int]:
    """Read a varint; give it and the number of its bytes."""
    value = 0
    for width in range(1, 11):
        byte = stream.read(1)
        if not byte:
            raise _BrokenError
        value |= (byte[0] & 0x7F) << (7 * (width - 1))
        if byte[0] < 0x80:
            return value, width
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
