"""What the layers of a captioner do, in a few kinds of steps: the recogniser's vocabulary.

A layer that changes nothing when captioning is no step; an activation of its own joins the Dense
layer before it, and a batch normalisation beside a Dense layer is folded into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from edgecap.importing.graph import Layer, stopped_at
from edgecap.importing.recurrent import Recurrent, read_recurrent


@dataclass(frozen=True, eq=False)
class Dense:
    """`activation(x @ kernel + bias)` on the last axis."""

    layers: tuple[Layer, ...]
    """The layers that it stands for; the first is the Dense layer itself."""

    kernel: np.ndarray
    """[inputs, units]."""

    bias: np.ndarray
    """[units]."""

    activation: str
    """Keras' name of it, e.g. "relu"."""


@dataclass(frozen=True, eq=False)
class Scale:
    """`x * scale + shift`: a batch normalisation that learns no more."""

    layers: tuple[Layer, ...]
    """The layer that it stands for."""

    scale: np.ndarray
    """[channels]."""

    shift: np.ndarray
    """[channels]."""


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation as a layer of its own."""

    layers: tuple[Layer, ...]
    """The layer that it stands for."""

    name: str
    """Keras' name of it."""


@dataclass(frozen=True, eq=False)
class Repeat:
    """The same vector at each of `times` places."""

    layers: tuple[Layer, ...]
    """The layer that it stands for."""

    times: int
    """How often."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Word ids to vectors."""

    layers: tuple[Layer, ...]
    """The layer that it stands for."""

    table: np.ndarray
    """[words, width]."""

    mask_zero: bool
    """Whether it masks id 0."""


Step: TypeAlias = "Dense | Scale | Activation | Repeat | Embedding | Recurrent"

HARMLESS = frozenset(
    {
        *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
        *("ActivityRegularization", "Identity"),
    }
)
"""Layers that change nothing when captioning."""


def unwrapped(layer: Layer) -> Layer:
    """Give what a TimeDistributed does at each place, which these layers do on sequences anyway."""
    if layer.class_name != "TimeDistributed":
        return layer
    inner = layer.config["layer"]
    if inner["class_name"] not in {"Dense", "Activation", "BatchNormalization", *HARMLESS}:
        raise stopped_at(layer, f"applies {inner['class_name']} to each place")
    return replace(layer, class_name=inner["class_name"], config=inner["config"])


def read_steps(layers: Sequence[Layer], keras: int, *, axes: int) -> list[Step]:
    """Read a chain of layers, the first one first.

    Args:
        layers: each reads the one before alone.
        keras: the major version of the Keras that wrote them.
        axes: how many axes the chain's input has, the rows included.

    Returns:
        The steps; a Repeat stands behind all others, for it may as well come last.

    Raises:
        OptionError: a layer that isn't known, or has an option that isn't.
    """
    steps: list[Step] = []
    for layer in layers:
        inner = unwrapped(layer)
        if inner.class_name in HARMLESS:
            continue
        if inner.class_name in ("LSTM", "CuDNNLSTM", "Bidirectional"):
            recurrent = read_recurrent(layer, keras)
            axes = 3 if recurrent.sequences else 2
            steps.append(recurrent)
            continue
        reader = _READERS.get(inner.class_name)
        if reader is None:
            raise stopped_at(layer, _unknown(inner))
        step = replace(reader(inner), layers=(layer,))
        if isinstance(step, Scale):
            _check_axis(layer, inner, axes)
        if isinstance(step, (Repeat, Embedding)):
            axes += 1
        if not (isinstance(step, Activation) and step.name == "linear"):
            steps.append(step)
    return _folded(sorted(steps, key=lambda step: isinstance(step, Repeat)))


def activation_name(layer: Layer) -> str:
    """Give the name of a layer's activation.

    Raises:
        OptionError: it is none of Keras' own functions.
    """
    value = layer.config.get("activation") or "linear"
    if isinstance(value, Mapping):
        value = value.get("config")
    if not isinstance(value, str):
        raise stopped_at(layer, f"has the activation {value!r}, which is no function of Keras' own")
    return value


def _unknown(layer: Layer) -> str:
    if "GRU" in layer.class_name:
        reset = layer.config.get("reset_after")
        return "is a GRU" + ("" if reset is None else f" (reset_after={reset})")
    return "is of a class that it does not know there"


def _dense(layer: Layer) -> Dense:
    if not layer.weights or layer.weights[0].ndim != 2:
        raise stopped_at(layer, "has no matrix of weights")
    kernel = layer.weights[0]
    if kernel.shape[1] != layer.config["units"]:
        raise stopped_at(
            layer, f"has {layer.config['units']} units and weights for {kernel.shape[1]}"
        )
    bias = layer.weights[1] if len(layer.weights) > 1 else np.zeros(kernel.shape[1], np.float32)
    return Dense((layer,), kernel, bias, activation_name(layer))


def _scale(layer: Layer) -> Scale:
    arrays = list(layer.weights)
    gamma = arrays.pop(0) if layer.config.get("scale", True) else 1.0
    beta = arrays.pop(0) if layer.config.get("center", True) else 0.0
    if len(arrays) != 2:
        raise stopped_at(layer, "has no mean and variance among its weights")
    mean, variance = (array.astype(np.float64) for array in arrays)
    scale = gamma / np.sqrt(variance + layer.config["epsilon"])
    return Scale((layer,), scale, beta - mean * scale)


def _check_axis(layer: Layer, inner: Layer, axes: int) -> None:
    """Refuse to normalise places instead of channels; a TimeDistributed hides an axis."""
    axis = inner.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
    last = axes - 1 if inner is layer else axes - 2
    if axis not in (-1, last):
        raise stopped_at(layer, f"normalises axis {axis} of {last + 1}")


def _repeat(layer: Layer) -> Repeat:
    return Repeat((layer,), int(layer.config["n"]))


def _embedding(layer: Layer) -> Embedding:
    config = layer.config
    wanted = (config["input_dim"], config["output_dim"])
    if len(layer.weights) != 1 or layer.weights[0].shape != wanted:
        raise stopped_at(layer, f"has no table of {wanted[0]} x {wanted[1]} among its weights")
    return Embedding((layer,), layer.weights[0], bool(config.get("mask_zero")))


def _activation(layer: Layer) -> Activation:
    return Activation((layer,), activation_name(layer))


def _plain(name: str, **defaults: Any) -> Callable[[Layer], Activation]:
    """Read a layer that is the activation `name` if its options have these values."""

    def read(layer: Layer) -> Activation:
        for option, usual in defaults.items():
            value = layer.config.get(option, usual)
            if value != usual and not (value is None and not usual):
                raise stopped_at(layer, f"has {option}={value}")
        return Activation((layer,), name)

    return read


_READERS: dict[str, Callable[[Layer], Step]] = {
    "Dense": _dense,
    "BatchNormalization": _scale,
    "RepeatVector": _repeat,
    "Embedding": _embedding,
    "Activation": _activation,
    "ReLU": _plain("relu", max_value=None, negative_slope=0.0, threshold=0.0),
    "ELU": _plain("elu", alpha=1.0),
    "Softmax": _plain("softmax", axis=-1),
}


def _folded(steps: Sequence[Step]) -> list[Step]:
    """Join activations and normalisations with the Dense layers beside them."""
    done: list[Step] = []
    for step in steps:
        last = done[-1] if done else None
        if isinstance(last, Dense) and last.activation == "linear":
            if isinstance(step, Activation):
                done[-1] = replace(last, layers=last.layers + step.layers, activation=step.name)
                continue
            if isinstance(step, Scale):
                done[-1] = _scaled(last, step)
                continue
        done.append(step)
    for place in range(len(done) - 1, 0, -1):
        before, after = done[place - 1], done[place]
        if isinstance(before, Scale) and isinstance(after, Dense):
            done[place - 1 : place + 1] = [_of_scaled(before, after)]
    return done


def _scaled(dense: Dense, scale: Scale) -> Dense:
    """A Dense layer whose output is scaled."""
    return replace(
        dense,
        layers=dense.layers + scale.layers,
        kernel=(dense.kernel * scale.scale).astype(np.float32),
        bias=(dense.bias * scale.scale + scale.shift).astype(np.float32),
    )


def _of_scaled(scale: Scale, dense: Dense) -> Dense:
    """A Dense layer whose input is scaled."""
    return replace(
        dense,
        layers=dense.layers + scale.layers,
        kernel=(scale.scale[:, None] * dense.kernel).astype(np.float32),
        bias=(dense.bias + scale.shift @ dense.kernel).astype(np.float32),
    )
