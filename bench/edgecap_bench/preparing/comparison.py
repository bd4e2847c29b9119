"""A photograph prepared by the runtime, beside Pillow's full decode and resize."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import decode
from edgecap_runtime.preparation import open_photo, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgecap_runtime.decoding import State

__all__ = ["Comparer", "Prepared"]


@dataclass(frozen=True)
class Prepared:
    """One photograph, prepared both ways."""

    megapixels: float
    """Its pixels, in 10^6."""
    ms: float
    """Median time of the runtime's preparation, milliseconds."""
    full_ms: float
    """Median time of Pillow's full decode and resize, milliseconds."""
    change: float
    """Mean absolute difference of the values, of 255."""
    largest: int
    """Largest one."""
    state_change: float
    """How far the encoder's answer is from that of the full decode, of the latter's norm."""
    same: bool
    """Whether the greedy captions are equal."""


class Comparer:
    """Compares for one captioner: its image size, its encoder, its words."""

    def __init__(self, file: Path, threads: int) -> None:
        """Open the file; raises `EdgecapError` where that can't be."""
        self._manifest = read_manifest(file)
        self._backend = open_backend(file, self._manifest, threads)

    def compare(self, photo: bytes, rounds: int) -> Prepared:
        """Prepare an encoded photograph both ways, in turns, and look at what differs."""
        preparation = self._manifest.preparation
        ways = (
            lambda: prepare(photo, preparation),
            # Opened without a preparation it is decoded in full.
            lambda: prepare(open_photo(photo), preparation),
        )
        (pixels, ms), (full, full_ms) = _in_turns(ways, rounds)
        apart = np.abs(pixels.astype(np.int16) - full.astype(np.int16))
        with Image.open(io.BytesIO(photo)) as image:
            size = image.width * image.height
        states = [self._backend.encode(given) for given in (pixels, full)]
        said, expected = map(self._words, states)
        state, wanted = map(_vector, states)
        return Prepared(
            megapixels=size / 1e6,
            ms=ms,
            full_ms=full_ms,
            change=float(apart.mean()),
            largest=int(apart.max()),
            state_change=float(np.linalg.norm(state - wanted) / np.linalg.norm(wanted)),
            same=said == expected,
        )

    def close(self) -> None:
        """Free the interpreter."""
        self._backend.close()

    def _words(self, state: State) -> tuple[int, ...]:
        """Give the ids of the greedy caption."""
        greedy = self._manifest.decoding(beam=1)
        return decode(self._backend.step, state, self._manifest.vocabulary, greedy)[0].ids


def _in_turns(
    ways: tuple[Callable[[], NDArray[np.uint8]], ...], rounds: int
) -> list[tuple[NDArray[np.uint8], float]]:
    """Give each way's answer and its median milliseconds; the first round only warms up."""
    times: list[list[float]] = [[] for _ in ways]
    answers = [way() for way in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, times, strict=True):
            begun = perf_counter()
            way()
            taken.append((perf_counter() - begun) * 1e3)
    return [(answer, median(taken)) for answer, taken in zip(answers, times, strict=True)]


def _vector(state: State) -> NDArray[np.float64]:
    """Give the decoder's first state as one vector."""
    return np.concatenate([np.ravel(array).astype(np.float64) for array in state.values()])
