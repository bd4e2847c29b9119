"""The checksum at a file's end: the CRC-32 of every byte before its own 8 digits.

It finds accidents (a flipped bit, a file cut short), not attackers: who changes a file on purpose
can write a new one.
"""

from __future__ import annotations

import zlib

from ..errors import BundleError

__all__ = ["NO_DIGITS", "has_checksum", "missing_checksum", "sealed"]

NO_DIGITS = b"00000000"
"""What stands at a file's end until its checksum is computed."""

_DIGITS = len(NO_DIGITS)
# How far from its end a file is searched for the checksum's name: one that is there but no longer
# in its place shows that something was put behind it.
_SEARCHED = 1 << 16
_REMEDY = "copy it again, or export the captioner again."


def sealed(content: bytearray) -> bytearray:
    """Return a file that ends with `NO_DIGITS` with the checksum's digits in their place."""
    content[-_DIGITS:] = _digits_of(content)
    return content


def has_checksum(name: str, content: bytes, before: bytes, key: bytes) -> bool:
    """Return whether a file ends with its right checksum; False where there is no trace of one.

    before: the bytes between which and the file's end the digits stand; key: the part of them
    that occurs nowhere else. Raises `BundleError`, naming the file, for a wrong checksum or a
    part of one.
    """
    found = content[-_DIGITS - len(before) : -_DIGITS]
    if found == before:
        if content[-_DIGITS:] == _digits_of(content):
            return True
        raise BundleError(f"{name} is damaged: its checksum is not that of its bytes; {_REMEDY}")
    # Half of it right is no chance: it was there, and a part of it was overwritten.
    alike = sum(one == other for one, other in zip(found, before, strict=False))
    if 2 * alike >= len(before) or content.rfind(key, max(0, len(content) - _SEARCHED)) >= 0:
        raise BundleError(
            f"{name} is damaged: its end was overwritten, cut or written behind, so its checksum "
            f"can't be read; {_REMEDY}"
        )
    return False


def missing_checksum(name: str) -> BundleError:
    """Return the error for a file that must have a checksum and has no trace of one."""
    return BundleError(
        f"{name} is damaged or was changed by another program: it lacks the checksum that its "
        f"format version has at the end; {_REMEDY}"
    )


def _digits_of(content: bytes | bytearray) -> bytes:
    with memoryview(content) as view:
        return b"%08x" % zlib.crc32(view[:-_DIGITS])
