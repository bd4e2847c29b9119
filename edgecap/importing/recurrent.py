"""LSTM layers of Keras 2 and 3, in either direction; what can't be carried over is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecap.importing.graph import Layer, stopped_at

_REFUSED = {
    "go_backwards": "reads the words from the last to the first (go_backwards)",
    "stateful": "keeps its state between calls (stateful)",
    "time_major": "has the time as its first axis (time_major)",
    "zero_output_for_mask": "gives zeros at masked places (zero_output_for_mask)",
}
"""Options that must be off. `unroll`, `implementation`, `dropout` and initialisers don't matter."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """An LSTM, or one in each direction with the outputs side by side."""

    layers: tuple[Layer, ...]
    """The layer that it stands for."""

    units: int
    """Width of the state, in each direction."""

    bidirectional: bool
    """Whether there are two."""

    sequences: bool
    """Whether it gives an output for each place, or that of the last alone."""

    gate: str
    """The gates' activation, by the names of `MergeOptions.recurrent_activation`."""

    weights: tuple[np.ndarray, ...]
    """Kernel [inputs, 4 units], recurrent kernel [units, 4 units] and bias [4 units] of each
    direction; gates in Keras' order i, f, c, o."""


def read_recurrent(layer: Layer, keras: int) -> Recurrent:
    """Read an LSTM, CuDNNLSTM or a Bidirectional around one.

    Args:
        layer: the layer.
        keras: the major version of the Keras that wrote it: `hard_sigmoid` is another function in
            Keras 2 than in Keras 3.

    Raises:
        OptionError: an option that can't be carried over exactly.
    """
    if layer.class_name != "Bidirectional":
        _check_direction(layer, layer.class_name, layer.config)
        arrays = _arrays(layer, layer.class_name, layer.config["units"], layer.weights)
        return _recurrent(layer, layer.class_name, layer.config, keras, arrays)
    mode = layer.config.get("merge_mode")
    if mode != "concat":
        raise stopped_at(layer, f"joins its directions by merge_mode={mode!r}, not 'concat'")
    inner = layer.config["layer"]
    class_name, config = inner["class_name"], inner["config"]
    if class_name not in ("LSTM", "CuDNNLSTM"):
        raise stopped_at(layer, f"runs a {class_name} in both directions")
    backward = (layer.config.get("backward_layer") or inner)["config"]
    _check_direction(layer, class_name, {**config, "zero_output_for_mask": False})
    _check_direction(
        layer, class_name, {**backward, "zero_output_for_mask": False, "go_backwards": False}
    )
    for option in ("units", "recurrent_activation", "return_sequences"):
        if config.get(option) != backward.get(option):
            raise stopped_at(layer, f"has directions that differ in {option}")
    half = len(layer.weights) // 2
    both = [
        array
        for side in (layer.weights[:half], layer.weights[half:])
        for array in _arrays(layer, class_name, config["units"], side)
    ]
    return _recurrent(layer, class_name, config, keras, both)


def from_cudnn(weights: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Rewrite a CuDNNLSTM's arrays as an LSTM's.

    cuDNN keeps each gate's kernels transposed, the input's in column order, and adds two biases.
    Source: the weights conversion in Keras 2's HDF5 reader.
    """
    kernel, recurrent, bias = weights
    inputs = [gate.T.reshape(gate.shape, order="F") for gate in np.split(kernel, 4, axis=1)]
    states = [gate.T for gate in np.split(recurrent, 4, axis=1)]
    return np.hstack(inputs), np.hstack(states), np.sum(np.split(bias, 2), axis=0)


def _recurrent(
    layer: Layer, class_name: str, config: Mapping[str, Any], keras: int, arrays: Sequence[Any]
) -> Recurrent:
    return Recurrent(
        layers=(layer,),
        units=int(config["units"]),
        bidirectional=layer.class_name == "Bidirectional",
        sequences=bool(config.get("return_sequences")),
        gate=_gate(layer, class_name, config, keras),
        weights=tuple(arrays),
    )


def _check_direction(layer: Layer, class_name: str, config: Mapping[str, Any]) -> None:
    for option, meaning in _REFUSED.items():
        if config.get(option):
            raise stopped_at(layer, meaning)
    if class_name == "LSTM" and config.get("activation") != "tanh":
        raise stopped_at(layer, f"has activation={config.get('activation')!r}, not 'tanh'")


def _gate(layer: Layer, class_name: str, config: Mapping[str, Any], keras: int) -> str:
    if class_name == "CuDNNLSTM":
        return "sigmoid"
    gate = config.get("recurrent_activation")
    if gate == "hard_sigmoid":
        return "keras2_hard_sigmoid" if keras == 2 else "hard_sigmoid"
    if gate != "sigmoid":
        raise stopped_at(
            layer, f"has recurrent_activation={gate!r}, not 'sigmoid' or 'hard_sigmoid'"
        )
    return "sigmoid"


def _arrays(
    layer: Layer, class_name: str, units: int, weights: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Give kernel, recurrent kernel and bias of one direction."""
    biases = 8 if class_name == "CuDNNLSTM" else 4
    shapes = [array.shape for array in weights]
    wanted = [(shapes[0][0] if shapes else 0, 4 * units), (units, 4 * units), (biases * units,)]
    if shapes not in (wanted, wanted[:2]):
        raise stopped_at(
            layer, f"has {units} units and weights of other shapes: {', '.join(map(str, shapes))}"
        )
    if class_name == "CuDNNLSTM":
        return from_cudnn(weights)
    if len(weights) == 2:  # use_bias=False
        return (*weights, np.zeros(4 * units, np.float32))
    return tuple(weights)
