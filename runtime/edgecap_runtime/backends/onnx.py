"""Runs an .onnx captioner: one graph with an `If` (start | step) in ONE ONNX Runtime session.

Several sessions with threads spin against each other (three times slower was measured), so
encoder and step share one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import BundleError, MissingExtraError, first_line
from ..kinds import KINDS
from ..manifest import ANY_PROCESSOR
from . import require_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..bundle import ModelFile
    from ..decoding import State, Words
    from ..manifest import Manifest
    from . import Tensor

__all__ = ["OnnxBackend"]

_ERRORS_ONLY = 3
_RESULTS = ("caption_ids", "caption_length", "caption_log_probabilities")


class OnnxBackend:
    """A captioner in one ONNX Runtime session; see `Backend`."""

    providers: ClassVar[Sequence[str]] = ("CPUExecutionProvider",)
    """What ONNX Runtime may compute on, the first choice first."""

    interpreter = "onnxruntime"
    """Name of the interpreter's package."""

    def __init__(self, file: ModelFile, manifest: Manifest, threads: int) -> None:
        runtime = _onnxruntime()
        self._path = path = file.path
        self._names = tuple(tensor.name for tensor in manifest.state)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        if manifest.processor != ANY_PROCESSOR:
            # On x86 without VNNI: products that don't saturate, slower. Elsewhere it does nothing.
            options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._session = runtime.InferenceSession(
                file.content, options, providers=list(self.providers)
            )
        except Exception as error:  # ONNX Runtime's errors share no public base class
            raise BundleError(
                f"{path} does not load in ONNX Runtime ({first_line(error)}); export the "
                "captioner again, or upgrade onnxruntime."
            ) from None
        kind = KINDS[manifest.kind]
        ids_shape = kind.ids_shape(manifest.prefix)
        self._check(manifest, ids_shape)
        height, width = manifest.preparation.height, manifest.preparation.width
        # The inputs that the other branch doesn't use: no rows, made once.
        self._start_feed: dict[str, NDArray[Any]] = {
            "start": np.array(True),
            "ids": np.empty([side or 0 for side in (0, *ids_shape[1:])], dtype=np.int32),
        }
        for tensor in manifest.state:
            self._start_feed[f"state_{tensor.name}"] = np.empty((0, *tensor.shape), np.float32)
        self._step_feed: dict[str, NDArray[Any]] = {
            "start": np.array(False),
            "image": np.empty((0, height, width, 3), dtype=np.uint8),
        }
        self._greedy_feed = {
            **self._step_feed,
            "start": np.array(True),
            "ids": np.array([manifest.vocabulary.start_id], dtype=np.int32),
        }
        self._next_names = [f"next_state_{name}" for name in self._names]
        # Where no state is carried, the graph would but copy what it was given.
        self._carried = self._names if kind.carries else ()
        self._step_names = ["logits", *(f"next_state_{name}" for name in self._carried)]

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state of an image, uint8 [height, width, 3]."""
        answer = self._run("start", self._next_names, {**self._start_feed, "image": image[None]})
        return dict(zip(self._names, answer, strict=True))

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run the decoder: ids int32 and a state to logits float32 [rows, V] and the next."""
        feed = {**self._step_feed, "ids": ids}
        for name in self._names:
            feed[f"state_{name}"] = state[name]
        logits, *following = self._run("step", self._step_names, feed)
        return logits, {**state, **dict(zip(self._carried, following, strict=True))}

    def greedy(self, state: State) -> Words:
        """Say all words after the first state of an image: a start with both, and no image."""
        feed = dict(self._greedy_feed)
        for name in self._names:
            feed[f"state_{name}"] = state[name]
        ids, length, scores = self._run("search", list(_RESULTS), feed)
        return ids[0], int(length[0]), scores[0]

    def close(self) -> None:
        """Free the session."""
        del self._session

    def _run(self, what: str, names: list[str], feed: dict[str, NDArray[Any]]) -> Any:
        try:
            return self._session.run(names, feed)
        except Exception as error:  # ONNX Runtime's errors share no public base class
            raise BundleError(
                f"{self._path}: ONNX Runtime failed in its {what} branch ({first_line(error)}); "
                "export the captioner again."
            ) from None

    def _check(self, manifest: Manifest, ids_shape: tuple[int | None, ...]) -> None:
        height, width = manifest.preparation.height, manifest.preparation.width
        inputs: dict[str, Tensor] = {
            "start": ((), "tensor(bool)"),
            "image": ((None, height, width, 3), "tensor(uint8)"),
            "ids": (ids_shape, "tensor(int32)"),
        }
        outputs: dict[str, Tensor] = {"logits": ((None, len(manifest.vocabulary)), "tensor(float)")}
        for tensor in manifest.state:
            inputs[f"state_{tensor.name}"] = ((None, *tensor.shape), "tensor(float)")
            outputs[f"next_state_{tensor.name}"] = ((None, *tensor.shape), "tensor(float)")
        if (search := manifest.greedy) is not None:
            row = (1, search.max_words)
            shapes = (row, "tensor(int32)"), ((1,), "tensor(int32)"), (row, "tensor(float)")
            outputs |= dict(zip(_RESULTS, shapes, strict=True))
        require_tensors(self._path, "graph", _shapes(self._session.get_inputs()), inputs)
        require_tensors(self._path, "graph", _shapes(self._session.get_outputs()), outputs)


def _shapes(arguments: Any) -> dict[str, Tensor]:
    # A dimension that is a name (or unknown) fits any size.
    return {
        item.name: (
            tuple(side if isinstance(side, int) else None for side in item.shape),
            item.type,
        )
        for item in arguments
    }


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError(
            "Unable to find onnxruntime; get it with: pip install 'edgecap-runtime[onnx]'"
        ) from None
    return onnxruntime
