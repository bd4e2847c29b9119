"""Which arrays a layer has, and how HDF5 files order those of nested models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecap.importing.config import is_model, layer_records, name_of
from edgecap_runtime.errors import OptionError

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Variable:
    """One array that a layer is expected to have."""

    layer: str
    """The layer's name, nested models' names before it."""

    name: str
    """What it is, e.g. "kernel"."""

    trainable: bool = True
    """Whether training changes it: files list those first."""


def _with_bias(*names: str) -> Callable[[Config], tuple[str, ...]]:
    return lambda config: (*names, "bias") if config.get("use_bias", True) else names


def _normalisation(config: Config) -> tuple[str, ...]:
    optional = (("gamma", "scale"), ("beta", "center"))
    learned = tuple(name for name, option in optional if config.get(option, True))
    return (*learned, "moving_mean", "moving_variance")


def _wrapped(config: Config) -> tuple[str, ...]:
    return layer_variables(config["layer"])


_NAMES: dict[str, Callable[[Config], tuple[str, ...]]] = {
    "Dense": _with_bias("kernel"),
    "Conv2D": _with_bias("kernel"),
    "DepthwiseConv2D": _with_bias("depthwise_kernel"),
    "SeparableConv2D": _with_bias("depthwise_kernel", "pointwise_kernel"),
    "Embedding": lambda config: ("embeddings",),
    "LSTM": _with_bias("kernel", "recurrent_kernel"),
    "CuDNNLSTM": lambda config: ("kernel", "recurrent_kernel", "bias"),
    "BatchNormalization": _normalisation,
    "BatchNormalizationV1": _normalisation,
    "TimeDistributed": _wrapped,
    "Bidirectional": lambda config: 2 * _wrapped(config),
}


def layer_variables(record: Config) -> tuple[str, ...]:
    """Name the arrays of a layer, in Keras' order; none for a class that is not known."""
    names = _NAMES.get(record["class_name"])
    return names(record["config"]) if names else ()


def model_variables(record: Config, path: str = "") -> list[Variable]:
    """List the arrays of a model or layer as an HDF5 file has them in one group.

    Keras writes all trainable arrays first, then the others; of a frozen layer all are others.
    """
    return [*_trainable(record, path), *_others(record, path)]


def _own(record: Config, path: str) -> list[Variable]:
    return [
        Variable(path + name_of(record), name, not name.startswith("moving_"))
        for name in layer_variables(record)
    ]


def _is_trainable(record: Config) -> bool:
    config = record["config"]
    return bool(config.get("trainable", True)) if isinstance(config, Mapping) else True


def _parts(record: Config, path: str) -> Iterator[tuple[Config, str]]:
    inside = f"{path}{name_of(record)}/"
    return ((part, inside) for part in layer_records(record))


def _trainable(record: Config, path: str) -> list[Variable]:
    if not _is_trainable(record):
        return []
    if is_model(record):
        return [item for part in _parts(record, path) for item in _trainable(*part)]
    return [item for item in _own(record, path) if item.trainable]


def _others(record: Config, path: str) -> list[Variable]:
    frozen = not _is_trainable(record)
    if not is_model(record):
        return [item for item in _own(record, path) if frozen or not item.trainable]
    parts = list(_parts(record, path))
    others = [item for part in parts for item in _others(*part)]
    if frozen:
        return [item for part in parts for item in _trainable(*part)] + others
    return others


def sort_arrays(
    record: Config, names: Sequence[str], arrays: Sequence[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Give each layer its arrays of one group of an HDF5 file.

    Args:
        record: the layer's or nested model's record.
        names: the arrays' names in the file, such as "conv1/kernel:0".
        arrays: the arrays themselves, in the same order.

    Returns:
        Arrays by the layer's name.

    Raises:
        OptionError: there are more or fewer than the layer has, or of other names.
    """
    if not is_model(record) and record["class_name"] not in _NAMES:
        return {name_of(record): list(arrays)}  # the recogniser will say that it's not known
    wanted = model_variables(record)
    if len(wanted) != len(arrays):
        raise OptionError(
            f"the layer {name_of(record)!r} ({record['class_name']}) has {len(wanted)} arrays by "
            f"the model's graph and {len(arrays)} in the weights file; give the weights of this "
            "very graph, made of layers that docs/importing.md lists"
        )
    found: dict[str, list[np.ndarray]] = {}
    for variable, name, array in zip(wanted, names, arrays, strict=True):
        if not _same_variable(variable.name, name):
            raise OptionError(
                f"the array {name!r} of the weights file stands where the {variable.name} of the "
                f"layer {variable.layer!r} belongs; give the weights of this very graph"
            )
        found.setdefault(variable.layer, []).append(array)
    return found


def _same_variable(wanted: str, name: str) -> bool:
    """Compare with the last part of a name like "lstm_1/kernel_1:0"."""
    last = name.rpartition("/")[2].partition(":")[0]
    stem, _, number = last.rpartition("_")
    # Keras 3 calls a depthwise kernel a kernel.
    known = {wanted, wanted.removeprefix("depthwise_")}
    return last in known or (number.isdecimal() and stem in known)
