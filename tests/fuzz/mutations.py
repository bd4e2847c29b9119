"""Damage to a file: one mutation of each kind that accidents and attackers bring."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random

EDGE = 1 << 16
"""Half of all mutations lie within so many bytes of the file's begin or end, where structure is."""

_LONGEST = 4096
_EXTREMES = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000)

Mutation = Callable[[bytearray, int, Random], None]


def _bits(content: bytearray, index: int, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[index] ^= 1 << rng.randrange(8)
        index = min(len(content) - 1, index + rng.randrange(16))


def _bytes(content: bytearray, index: int, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[index] = rng.randrange(256)
        index = min(len(content) - 1, index + rng.randrange(16))


def _zeros(content: bytearray, index: int, rng: Random) -> None:
    end = min(len(content), index + rng.randint(1, _LONGEST))
    content[index:end] = bytes(end - index)


def _noise(content: bytearray, index: int, rng: Random) -> None:
    end = min(len(content), index + rng.randint(1, _LONGEST))
    content[index:end] = rng.randbytes(end - index)


def _cut(content: bytearray, index: int, rng: Random) -> None:
    """Cut the file short, or cut a piece out of it."""
    end = len(content) if rng.random() < 0.5 else index + rng.randint(1, _LONGEST)
    del content[index:end]


def _insertion(content: bytearray, index: int, rng: Random) -> None:
    """Insert noise, zeros, or a copy of another part of the file; at the end too."""
    size = rng.choice((1, 2, 4, 16, rng.randint(1, _LONGEST)))
    other = rng.randrange(len(content))
    pieces = (rng.randbytes(size), bytes(size), bytes(content[other : other + size]))
    at = len(content) if rng.random() < 0.1 else index
    content[at:at] = rng.choice(pieces)


def _integer(content: bytearray, index: int, rng: Random) -> None:
    """Set a little-endian field of 16 or 32 bits to an extreme value."""
    width = rng.choice((2, 4))
    index -= index % width
    value = rng.choice(_EXTREMES) % (1 << 8 * width)
    field = value.to_bytes(width, "little")[: len(content) - index]
    content[index : index + len(field)] = field


KINDS: dict[str, Mutation] = {
    "bits": _bits,
    "bytes": _bytes,
    "zeros": _zeros,
    "noise": _noise,
    "cuts": _cut,
    "insertions": _insertion,
    "integers": _integer,
}


def mutated(original: bytes, seed: int, number: int, *, checksum: bool) -> tuple[str, bytes]:
    """Return the kind of a file's mutation of this number, and the file, which differs.

    checksum: whether the file ends with a checksum of its new bytes, as an attacker would write.
    """
    rng = Random(f"{seed} {number}")
    while True:
        kind = rng.choice([*KINDS])
        content = bytearray(original)
        KINDS[kind](content, _index(len(content), rng), rng)
        if checksum and len(content) > 8:
            content[-8:] = b"%08x" % zlib.crc32(memoryview(content)[:-8])
        if content != original:
            return kind, bytes(content)


def _index(size: int, rng: Random) -> int:
    edge = min(EDGE, size)
    place = rng.randrange(4)
    if place == 0:
        return rng.randrange(edge)
    if place == 1:
        return size - 1 - rng.randrange(edge)
    return rng.randrange(size)
