"""What quantization learns from: photographs, and the states and words that decoding visits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecap_export.copies import copies_of
from edgecap_export.pictures import prepared_pictures
from edgecap_export.progress import Progress, silent
from edgecap_runtime.decoding import decode
from edgecap_runtime.errors import ImageError, OptionError
from edgecap_runtime.kinds import KINDS
from edgecap_runtime.preparation import Preparation, prepare

if TYPE_CHECKING:
    from edgecap_export.source import CaptionerSource
    from edgecap_export.step_graph import CaptionerGraph
    from edgecap_runtime.decoding import State

__all__ = ["FEWEST_IMAGES", "Calibration", "Samples", "Visit", "choose_calibration", "take_samples"]

FEWEST_IMAGES = 10
"""Fewest photographs to calibrate on; 100 to 300 is what the ranges of activations want."""


@dataclass(frozen=True)
class Calibration:
    """Photographs to calibrate on, prepared as the file will prepare them."""

    pixels: NDArray[np.uint8]
    """uint8 [images, H, W, 3]."""
    names: tuple[str, ...]
    """Names of their files, without folders."""
    seed: int
    """What they were chosen by, from a larger number of photographs."""
    left_out: tuple[str, ...] = ()
    """Those that can't be read or that the file carries, and why."""

    def to_dict(self) -> dict[str, Any]:
        """Give what the file keeps of it."""
        return {"images": len(self.names), "seed": self.seed, "names": list(self.names)}


@dataclass(frozen=True)
class Visit:
    """What one call of the step is given."""

    ids: NDArray[np.int32]
    """int32 [rows] or [rows, T]."""
    state: Mapping[str, NDArray[np.float32]]
    """float32 [rows, width] by name."""


@dataclass(frozen=True)
class Samples:
    """What a captioner's two graphs are given while it captions the calibration photographs."""

    pixels: NDArray[np.uint8]
    """uint8 [images, H, W, 3], for `encode`."""
    visits: tuple[Visit, ...]
    """For the step, in order."""

    def encode_calls(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Give what `encode` is called with, by the names of a file's inputs."""
        for image in self.pixels:
            yield {"image": image[None]}

    def step_calls(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Give what the step is called with, likewise."""
        for visit in self.visits:
            state = {f"state_{name}": array for name, array in visit.state.items()}
            yield {"ids": visit.ids, **state}


def choose_calibration(
    photos: Sequence[str | Path],
    preparation: Preparation,
    progress: Progress | None = None,
    *,
    count: int = 128,
    seed: int = 0,
    carried: Sequence[Any] = (),
) -> Calibration:
    """Choose photographs by a seed and prepare them.

    photos: paths; their order does not matter; carried: `CaptionerSource.check_pictures`, by which
    the file checks itself, so that copies of them are left out and named. One that can't be read is
    left out and named too. Raises `OptionError` if fewer than `FEWEST_IMAGES` are left.
    """
    if count < FEWEST_IMAGES:
        raise OptionError(
            f"Calibration on {count} photographs was asked for; take {FEWEST_IMAGES} or more "
            "(100 to 300 are best)."
        )
    if seed < 0:
        raise OptionError(f"The seed of the calibration is {seed}; give 0 or a number above.")
    given = sorted(Path(photo) for photo in photos)
    copies = copies_of(carried, given)
    paths = [path for path in given if path not in copies]
    order = np.random.default_rng(seed).permutation(len(paths))
    chosen: list[Path] = []
    broken: list[str] = []
    for place in order:
        if len(chosen) == count:
            break
        try:
            prepare(paths[place], preparation)
            chosen.append(paths[place])
        except ImageError as problem:
            broken.append(str(problem))
    if len(chosen) < FEWEST_IMAGES:
        unreadable = f" ({len(broken)} more can't be read, such as: {broken[0]})" if broken else ""
        if copies:
            unreadable += f" ({len(copies)} more are those that the file checks itself by)"
        raise OptionError(
            f"There are {len(chosen)} photographs to calibrate on{unreadable}; give "
            f"{FEWEST_IMAGES} or more, 100 to 300 are best."
        )
    pictures = prepared_pictures(chosen, preparation, progress or silent)
    names = tuple(path.name for path in chosen)
    if copies:
        same = ", ".join(path.name for path in sorted(copies))
        broken.append(f"{same}, by which the file checks itself")
    return Calibration(pictures.pixels, names, seed, tuple(broken))


def take_samples(
    source: CaptionerSource, graph: CaptionerGraph, calibration: Calibration, progress: Progress
) -> Samples:
    """Caption the photographs with the float graph, searched as the file will be by default."""
    recorder = _Recorder(graph)
    backend = KINDS[graph.kind].driven(recorder, source.prefix)
    options = source.defaults.changed(n_best=1)
    for place, image in enumerate(calibration.pixels):
        progress("calibrate", place, len(calibration.pixels))
        decode(backend.step, backend.encode(image), source.vocabulary, options)
    progress("calibrate", len(calibration.pixels), len(calibration.pixels))
    return Samples(calibration.pixels, tuple(recorder.visits))


class _Recorder:
    """The float graph as a runtime backend; keeps what its step is given."""

    def __init__(self, graph: CaptionerGraph) -> None:
        self.visits: list[Visit] = []
        self._graph = graph

    def encode(self, image: NDArray[np.uint8]) -> State:
        encoded = self._graph.encode(image[None])
        return {name: np.asarray(encoded[f"state_{name}"]) for name in self._graph.state}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        self.visits.append(Visit(ids, dict(state)))
        result = self._graph.step(ids, *(state[name] for name in self._graph.state))
        following = {
            name: np.asarray(result.get(f"next_state_{name}", state[name])) for name in state
        }
        return np.array(result["logits"]), following

    def close(self) -> None:
        pass
