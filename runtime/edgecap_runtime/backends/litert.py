"""Runs a .tflite captioner: its two signatures in LiteRT or the old tflite-runtime.

They are `encode` and one with the name of the decoder's kind, called the step here. A third,
`greedy`, says all words after a first state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import BundleError, MissingExtraError, first_line
from ..kinds import KINDS
from . import require_tensors
from .quiet import quiet_stderr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..bundle import ModelFile
    from ..decoding import State, Words
    from ..manifest import Manifest, SearchInside
    from . import Tensor

__all__ = ["LiteRTBackend"]

_GREEDY = "greedy"

_Details: TypeAlias = Mapping[str, Any]
"""The interpreter's description of a signature's tensors, by their names in the signature."""


class LiteRTBackend:
    """A captioner in a LiteRT interpreter; see `Backend`.

    A signature runner resizes and allocates anew at every call. Where the step is the
    interpreter's first subgraph, which the plain calls reach, it is resized only when the shape
    of the ids changes.
    """

    interpreter: str
    """Name of the interpreter's package."""

    def __init__(self, file: ModelFile, manifest: Manifest, threads: int) -> None:
        self._path = path = file.path
        self._graph = manifest.kind
        self._names = tuple(tensor.name for tensor in manifest.state)
        carries = KINDS[manifest.kind].carries
        self._next_names = self._names if carries else ()
        interpreter_class = _interpreter_class()
        self.interpreter = "tflite-runtime" if _is_old(interpreter_class) else "ai-edge-litert"
        try:
            with quiet_stderr():
                self._encoder, self._interpreter = _interpreters(
                    interpreter_class, file.content, threads, loops=not carries
                )
            signatures = self._interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            remedy = "export the captioner again, or upgrade ai-edge-litert."
            if _is_old(interpreter_class):
                remedy = (
                    "tflite-runtime runs the recipes compat, float16 and float32: export the "
                    "captioner by one of them, or install ai-edge-litert."
                )
            raise BundleError(
                f"{path} does not load in the interpreter ({first_line(error)}); {remedy}"
            ) from None
        searches = () if manifest.greedy is None else (_GREEDY,)
        for name in ("encode", self._graph, *searches):
            if name not in signatures:
                raise BundleError(
                    f"{path} has no signature {name!r} (it has {', '.join(signatures) or 'none'}); "
                    "export the captioner again."
                )
        encode = self._encoder.get_signature_runner("encode")
        step = self._interpreter.get_signature_runner(self._graph)
        inputs, outputs = step.get_input_details(), step.get_output_details()
        self._check_encode(manifest, encode.get_input_details(), encode.get_output_details())
        self._check_step(manifest, inputs, outputs)
        if manifest.greedy is not None:
            greedy = self._interpreter.get_signature_runner(_GREEDY)
            self._check_greedy(
                manifest,
                manifest.greedy,
                greedy.get_input_details(),
                greedy.get_output_details(),
            )
        self._plain = self._is_first_subgraph(inputs, outputs)
        self._shape: tuple[int, ...] = ()
        self._ids_place = inputs["ids"]["index"]
        self._logits_place = outputs["logits"]["index"]
        # name, place of the input, shape of one row
        self._state_places = [
            (tensor.name, inputs[f"state_{tensor.name}"]["index"], tensor.shape)
            for tensor in manifest.state
        ]
        self._next_places = [
            (name, outputs[f"next_state_{name}"]["index"]) for name in self._next_names
        ]

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state of an image, uint8 [height, width, 3]."""
        try:
            # Made for each call (2 microseconds): the plain calls refuse while a runner is alive.
            answer = self._encoder.get_signature_runner("encode")(image=image[None])
        except (ValueError, RuntimeError) as error:
            raise self._failed("encode", error) from None
        return {name: answer[f"state_{name}"] for name in self._names}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run the decoder: ids int32 and a state to logits float32 [rows, V] and the next."""
        try:
            if self._plain:
                return self._plain_step(ids, state)
            states = {f"state_{name}": state[name] for name in self._names}
            answer = self._interpreter.get_signature_runner(self._graph)(ids=ids, **states)
        except (ValueError, RuntimeError) as error:
            raise self._failed(self._graph, error) from None
        following = {name: answer[f"next_state_{name}"] for name in self._next_names}
        return answer["logits"], {**state, **following}

    def greedy(self, state: State) -> Words:
        """Say all words after the first state of an image."""
        states = {f"state_{name}": state[name] for name in self._names}
        try:
            answer = self._interpreter.get_signature_runner(_GREEDY)(**states)
        except (ValueError, RuntimeError) as error:
            raise self._failed(_GREEDY, error) from None
        return answer["ids"][0], int(answer["length"][0]), answer["log_probabilities"][0]

    def close(self) -> None:
        """Free the interpreter."""
        del self._interpreter, self._encoder

    def _plain_step(
        self, ids: NDArray[np.int32], state: State
    ) -> tuple[NDArray[np.float32], State]:
        interpreter = self._interpreter
        if ids.shape != self._shape:
            # Unset while resizing: after a failure the next call must resize again.
            self._shape = ()
            interpreter.resize_tensor_input(self._ids_place, ids.shape)
            for _, place, shape in self._state_places:
                interpreter.resize_tensor_input(place, [len(ids), *shape])
            interpreter.allocate_tensors()
            self._shape = ids.shape
        interpreter.set_tensor(self._ids_place, ids)
        for name, place, _ in self._state_places:
            interpreter.set_tensor(place, state[name])
        interpreter.invoke()
        following = {name: interpreter.get_tensor(place) for name, place in self._next_places}
        if len(following) < len(state):
            following = {**state, **following}
        return interpreter.get_tensor(self._logits_place), following

    def _is_first_subgraph(self, inputs: _Details, outputs: _Details) -> bool:
        """Tell whether plain calls of the interpreter reach the step, by public calls alone."""
        return all(
            sorted((item["index"], item["name"]) for item in first)
            == sorted((item["index"], item["name"]) for item in of_step.values())
            for first, of_step in (
                (self._interpreter.get_input_details(), inputs),
                (self._interpreter.get_output_details(), outputs),
            )
        )

    def _check_encode(self, manifest: Manifest, inputs: _Details, outputs: _Details) -> None:
        size = (1, manifest.preparation.height, manifest.preparation.width, 3)
        states = {f"state_{item.name}": ((1, *item.shape), item.dtype) for item in manifest.state}
        graph = "encode signature"
        require_tensors(self._path, graph, _shapes(inputs), {"image": (size, "uint8")})
        require_tensors(self._path, graph, _shapes(outputs), states)

    def _check_step(self, manifest: Manifest, inputs: _Details, outputs: _Details) -> None:
        takes: dict[str, Tensor] = {
            "ids": (KINDS[manifest.kind].ids_shape(manifest.prefix), "int32")
        }
        gives: dict[str, Tensor] = {"logits": ((None, len(manifest.vocabulary)), "float32")}
        for item in manifest.state:
            takes[f"state_{item.name}"] = ((None, *item.shape), item.dtype)
            if item.name in self._next_names:
                gives[f"next_state_{item.name}"] = ((None, *item.shape), item.dtype)
        graph = f"{self._graph} signature"
        require_tensors(self._path, graph, _shapes(inputs), takes)
        require_tensors(self._path, graph, _shapes(outputs), gives)

    def _check_greedy(
        self, manifest: Manifest, search: SearchInside, inputs: _Details, outputs: _Details
    ) -> None:
        states = {f"state_{item.name}": ((1, *item.shape), item.dtype) for item in manifest.state}
        row = (1, search.max_words)
        gives: dict[str, Tensor] = {
            "ids": (row, "int32"),
            "length": ((1,), "int32"),
            "log_probabilities": (row, "float32"),
        }
        graph = f"{_GREEDY} signature"
        require_tensors(self._path, graph, _shapes(inputs), states)
        require_tensors(self._path, graph, _shapes(outputs), gives)

    def _failed(self, what: str, error: Exception) -> BundleError:
        return BundleError(
            f"{self._path}: the interpreter failed in {what} ({first_line(error)}); export the "
            "captioner again."
        )


def _shapes(details: _Details) -> dict[str, Tensor]:
    return {
        name: (tuple(int(side) for side in item["shape"]), np.dtype(item["dtype"]).name)
        for name, item in details.items()
    }


def _interpreters(
    interpreter_class: Any, content: bytes, threads: int, *, loops: bool
) -> tuple[Any, Any]:
    """Give what runs `encode` and what runs the step: the same, but in tflite-runtime a loop."""
    made = [interpreter_class(model_content=content, num_threads=threads)]
    if loops and _is_old(interpreter_class):
        from tflite_runtime.interpreter import OpResolverType

        # Once shapes have changed in a loop, its XNNPACK delegate fails or answers wrongly.
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        made.append(
            interpreter_class(
                model_content=content, num_threads=threads, experimental_op_resolver_type=plain
            )
        )
    for interpreter in made:
        # tflite-runtime runs signatures many times slower unless this came first.
        interpreter.allocate_tensors()
    return made[0], made[-1]


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            raise MissingExtraError(
                "Unable to find ai-edge-litert; get it with: pip install 'edgecap-runtime[tflite]'"
            ) from None
    return Interpreter


def _is_old(interpreter_class: Any) -> bool:
    return str(interpreter_class.__module__).partition(".")[0] == "tflite_runtime"
