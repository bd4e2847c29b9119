"""Interpreters that run a captioner's graphs, by kind of container.

A backend is added by one module with a class like `Backend`, and one line in `_BACKENDS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from ..bundle import ModelFile, read_model
from ..errors import BundleError, OptionError, first_line
from ..kinds import KINDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..decoding import State, Words
    from ..manifest import Manifest

__all__ = [
    "Backend",
    "SearchingBackend",
    "Tensor",
    "default_threads",
    "interpreter_of",
    "open_backend",
    "require_tensors",
]

Tensor: TypeAlias = "tuple[tuple[int | None, ...], str]"
"""Shape (None for any size) and element type of a graph's tensor, for comparison."""

_BACKENDS = {
    "tflite": "edgecap_runtime.backends.litert:LiteRTBackend",
    "onnx": "edgecap_runtime.backends.onnx:OnnxBackend",
}
_MOST_THREADS = 256


class Backend(Protocol):
    """One captioner in one interpreter. Calls must not overlap; `Captioner` sees to that.

    What `_BACKENDS` names runs the file's graphs as they are: its step takes the ids that the
    decoder's kind has (`Kind.ids_shape`), and gives back the state itself where the graph carries
    none. `open_backend` makes all kinds alike.
    """

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state, arrays [1, ...], of an image, uint8 [height, width, 3]."""

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run one step for any number of rows: ids int32 [rows] to logits float32 [rows, V].

        The arrays returned are the caller's; no later call writes to them.
        """

    def close(self) -> None:
        """Free the interpreter; the backend can't be used afterwards."""


class SearchingBackend(Backend, Protocol):
    """A backend of a file that holds a search, as `Manifest.greedy` says."""

    def greedy(self, state: State) -> Words:
        """Say all words after a first state, arrays [1, ...], by the search inside the file."""


class _BackendClass(Protocol):
    def __call__(self, file: ModelFile, manifest: Manifest, threads: int) -> Backend: ...


def default_threads() -> int:
    """Give the number of threads where a user names none: the machine's cores, at most 4."""
    return min(os.cpu_count() or 1, 4)


def interpreter_of(backend: Backend) -> str:
    """Return the name of the package that a backend runs in, "onnxruntime" for example.

    A backend says it by an attribute `interpreter`; "unknown" where it has none.
    """
    return str(getattr(backend, "interpreter", "unknown"))


def open_backend(
    file: ModelFile | str | os.PathLike[str], manifest: Manifest, threads: int | None = None
) -> Backend:
    """Open a captioner's file in the interpreter for its kind.

    file: what `read_model` returned, or a path, which is read; the interpreter gets these bytes,
    so that no change of the file disturbs it. threads: number of the interpreter's threads; None
    for `default_threads()`. Raises `MissingExtraError` where the interpreter isn't installed,
    `BundleError` where the file is damaged, doesn't load or contradicts its manifest,
    `OptionError` for an illegal number of threads.
    """
    if threads is None:
        threads = default_threads()
    whole = isinstance(threads, int) and not isinstance(threads, bool)
    if not whole or not 1 <= threads <= _MOST_THREADS:
        raise OptionError(f"threads is {threads!r}; give a whole number from 1 to {_MOST_THREADS}.")
    read = file if isinstance(file, ModelFile) else read_model(file)
    module, _, name = _BACKENDS[read.container].partition(":")
    backend = cast("_BackendClass", getattr(import_module(module), name))
    try:
        opened = backend(read, manifest, threads)
    except (RuntimeError, ValueError) as error:
        # A name that is no UTF-8, met where the interpreter describes its tensors.
        raise BundleError(
            f"{read.path}: its interpreter can't describe the model ({first_line(error)}); export "
            "the captioner again."
        ) from None
    return KINDS[manifest.kind].driven(opened, manifest.prefix)


def require_tensors(
    path: str,
    graph: str,
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> None:
    """Compare a graph's tensors, name to (shape, element type), with what the manifest needs.

    A None in an expected shape allows any size, one in a found shape fits any. Raises
    `BundleError` that names the first tensor that is missing or different.
    """
    for name, (shape, kind) in expected.items():
        if name not in found:
            raise BundleError(
                f"{path}: its {graph} has no tensor {name!r} (it has {', '.join(sorted(found))}); "
                "export the captioner again."
            )
        has_shape, has_kind = found[name]
        fits = len(has_shape) == len(shape) and all(
            want is None or have is None or want == have
            for want, have in zip(shape, has_shape, strict=True)
        )
        if not fits or has_kind != kind:
            raise BundleError(
                f"{path}: its {graph} has the tensor {name} as {_described(has_shape, has_kind)}, "
                f"but the manifest (image, vocabulary, state) needs {_described(shape, kind)}; "
                "export the captioner again."
            )


def _described(shape: tuple[int | None, ...], kind: str) -> str:
    return f"{kind} [{', '.join('any' if side is None else str(side) for side in shape)}]"
