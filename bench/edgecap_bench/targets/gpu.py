"""Keras on a GPU, by whichever of its backends sees one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecap_bench.targets.keras_run import plan_run
from edgecap_bench.targets.keras_step import KerasStep
from edgecap_bench.targets.registry import (
    Kind,
    Plan,
    Setting,
    no_variants,
    register,
    visible_gpus,
)
from edgecap_runtime.errors import EdgecapError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecap_export.source import CaptionerSource
    from edgecap_runtime.decoding import State

__all__ = ["KerasGpu"]

_NONE = (
    "no GPU that torch, JAX or TensorFlow sees here: never measured (record it where there is one "
    "and give --merge FILE)"
)


class KerasGpu(KerasStep):
    """The encoder and the decoder's step in Keras on the first GPU."""

    def bring_in(self) -> None:
        """Find a backend that sees a GPU, and import Keras with it; none is an error."""
        import os

        os.environ["KERAS_BACKEND"] = _backend_with_gpu()
        import edgecap.captioner  # noqa: F401  (imports Keras)

    def _make_backend(self, source: CaptionerSource) -> Any:
        if source.prefix is not None:
            from edgecap_runtime.prefix import PrefixBackend

            return PrefixBackend(_Prefix(source), source.prefix)
        return _Step(source)


class _Eager:
    """Keras' layers called one by one, without gradients; compiled where the backend is JAX."""

    def __init__(self, source: CaptionerSource) -> None:
        import keras

        self._source = source
        self._compiled = _compiler(keras.backend.backend())
        self._encode = self._compiled(lambda image: self._features(image))

    def _features(self, image: Any) -> Any:
        return self._source.encoder(image, training=False)

    def close(self) -> None:
        """Free nothing: the process ends."""


class _Step(_Eager):
    def __init__(self, source: CaptionerSource) -> None:
        super().__init__(source)
        decoder: Any = source.decoder
        self._first = self._compiled(lambda image: decoder.first_state(self._features(image)))
        self._table = _on_device(decoder.embedding_table)
        self._next = self._compiled(self._advance)

    def _advance(self, ids: Any, state: Any) -> Any:
        import keras

        decoder: Any = self._source.decoder
        return decoder.step(ids, keras.ops.take(self._table, ids, axis=0), state)

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the first state of an image, uint8 [height, width, 3]; it stays on the GPU."""
        return dict(self._first(_on_device(image[None].astype(np.float32))))

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run one step for ids int32 [rows]."""
        import keras

        on_device = {name: _on_device(value) for name, value in state.items()}
        logits, following = self._next(_on_device(ids), on_device)
        arrays = {name: keras.ops.convert_to_numpy(value) for name, value in following.items()}
        return keras.ops.convert_to_numpy(logits), arrays


class _Prefix(_Eager):
    def __init__(self, source: CaptionerSource) -> None:
        super().__init__(source)
        self._next = self._compiled(source.decoder.next_logits)

    def encode(self, image: NDArray[np.uint8]) -> State:
        """Give the features of an image, uint8 [height, width, 3]."""
        import keras

        features = self._encode(_on_device(image[None].astype(np.float32)))
        return {"features": keras.ops.convert_to_numpy(features)}

    def step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Run the decoder over prefixes, ids int32 [rows, T]."""
        import keras

        logits = self._next(_on_device(state["features"]), _on_device(ids))
        return keras.ops.convert_to_numpy(logits), state


def _backend_with_gpu() -> str:
    """Name the first of Keras' backends that sees a GPU; raises `EdgecapError`."""
    for name, sees in _SEES.items():
        try:
            if sees():
                return name
        except Exception:
            continue
    raise EdgecapError(_NONE)


def _torch_sees() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _jax_sees() -> bool:
    import jax

    return any(device.platform == "gpu" for device in jax.devices())


def _tensorflow_sees() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


_SEES = {"torch": _torch_sees, "jax": _jax_sees, "tensorflow": _tensorflow_sees}


def _compiler(backend: str) -> Any:
    """Give what makes a function fast, and one that keeps no gradients."""
    if backend == "jax":
        import jax

        return jax.jit
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function
    import torch

    return torch.inference_mode()


def _on_device(values: Any) -> Any:
    import keras

    return keras.ops.convert_to_tensor(values)


def _plan(setting: Setting, variant: str) -> Plan:
    made = plan_run(setting, "gpu", "edgecap_bench.targets.gpu:KerasGpu")
    return replace(made, threads=None, environment=visible_gpus())


register(
    Kind(
        "gpu",
        "Keras on a GPU, if one of its backends sees one",
        no_variants,
        _plan,
        by_default=False,
    )
)
