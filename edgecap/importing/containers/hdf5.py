"""HDF5 files of Keras 2 (and of Keras 3 in Keras 2's manner), read without Keras.

A whole model has the attribute `model_config` and the group `model_weights`. A file of weights
alone has the groups of the layers at its root, and the attribute `layer_names` in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgecap.importing.config import is_model, layer_records, name_of, read_graph
from edgecap.importing.containers.registry import CONTAINERS, Container, refuse_architecture
from edgecap.importing.graph import Graph, Origin, major_version, text_of
from edgecap.importing.safety import refuse_code
from edgecap.importing.variables import model_variables, sort_arrays
from edgecap_runtime.errors import OptionError, first_line


@dataclass(frozen=True, eq=False)
class LayerArrays:
    """The arrays of one layer of the file."""

    layer: str
    """The layer's name when it was saved."""

    names: tuple[str, ...]
    """The arrays' names, such as "lstm_1/kernel:0"."""

    arrays: tuple[np.ndarray, ...]
    """The arrays."""


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights alone holds."""

    layers: tuple[LayerArrays, ...]
    """The layers that have arrays, in Keras' order."""

    keras_version: str
    """The version of Keras that wrote it; "" if that is not recorded."""

    backend: str
    """The backend that Keras computed with; "" if that is not recorded."""


def is_whole_model(path: Path) -> bool:
    """Whether a path is an HDF5 file with graph and weights."""
    with _opened(path) as file:
        return file is not None and "model_config" in file.attrs


def is_weights(path: Path) -> bool:
    """Whether a path is an HDF5 file of weights alone, in Keras 2's manner."""
    with _opened(path) as file:
        return file is not None and _has(file.attrs, "layer_names")


def read_weights(path: Path) -> WeightsFile:
    """Read a file of weights alone.

    Raises:
        OptionError: it is damaged.
    """
    with _reading(path) as file:
        return WeightsFile(
            tuple(item for item in _layers(file) if item.arrays),
            text_of(file.attrs.get("keras_version", "")),
            text_of(file.attrs.get("backend", "")),
        )


def read_architecture(path: Path) -> Mapping[str, Any]:
    """Read what `model.to_json()` wrote.

    Raises:
        OptionError: it is missing, no such JSON, or holds Python code.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
        if isinstance(record, str):  # written by json.dump(model.to_json(), file)
            record = json.loads(record)
        config = record["config"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise OptionError(
            f"{str(path)!r} is no architecture ({first_line(problem)}); give the JSON file that "
            "model.to_json() wrote, or merge-lstm or merge-bilstm"
        ) from problem
    refuse_code(config, repr(str(path)))
    return dict(record)


def writing_keras(record: Mapping[str, Any], version: str) -> int:
    """Give the major version of the Keras that wrote a model: by the record, else by the way."""
    recorded = major_version(version)
    if recorded is not None:
        if recorded not in (2, 3):
            raise OptionError(
                f"the model was saved by Keras {version}; edgecap reads those of Keras 2 and 3"
            )
        return recorded
    return 3 if '"__keras_tensor__"' in json.dumps(record) else 2


def _read_whole(path: Path, architecture: Path | None) -> Graph:
    refuse_architecture(path, architecture)
    with _reading(path) as file:
        record = json.loads(text_of(file.attrs["model_config"]))
        refuse_code(record, repr(str(path)))
        origin = _origin(record, file.attrs, "hdf5")
        weights: dict[str, list[np.ndarray]] = {}
        if is_model(record):
            found = {item.layer: item for item in _layers(file["model_weights"])}
            for item in layer_records(record):
                arrays = found.get(name_of(item), LayerArrays(name_of(item), (), ()))
                weights |= sort_arrays(item, arrays.names, arrays.arrays)
        return read_graph(record, weights, origin)


def _read_with_architecture(path: Path, architecture: Path | None) -> Graph:
    if architecture is None:
        raise OptionError(
            f"{str(path)!r} holds weights alone; give the graph too, by --architecture FILE.json "
            "(from model.to_json()) or --architecture merge-lstm"
        )
    record = read_architecture(architecture)
    if not is_model(record):
        return read_graph(record, {}, _origin(record, record, "weights"))  # refuses it
    file = read_weights(path)
    wanted = [item for item in layer_records(record) if model_variables(item)]
    if len(wanted) != len(file.layers):
        raise OptionError(
            f"the graph in {str(architecture)!r} has {len(wanted)} layers with weights and "
            f"{str(path)!r} has {len(file.layers)}; give the weights of this very graph"
        )
    weights: dict[str, list[np.ndarray]] = {}
    # By order, as Keras' own load_weights does: names change when a notebook is run again.
    for item, arrays in zip(wanted, file.layers, strict=True):
        weights |= sort_arrays(item, arrays.names, arrays.arrays)
    facts = {
        "keras_version": file.keras_version or record.get("keras_version", ""),
        "backend": file.backend or record.get("backend", ""),
    }
    return read_graph(record, weights, _origin(record, facts, "weights"))


def _origin(record: Mapping[str, Any], facts: Mapping[str, Any], container: str) -> Origin:
    version = text_of(facts.get("keras_version", ""))
    backend = text_of(facts.get("backend", ""))
    return Origin(container, version, writing_keras(record, version), backend)


def _layers(group: Any) -> Iterator[LayerArrays]:
    for name in _names(group.attrs, "layer_names"):
        names = _names(group[name].attrs, "weight_names")
        yield LayerArrays(name, names, tuple(np.asarray(group[name][item]) for item in names))


def _has(attributes: Any, key: str) -> bool:
    return key in attributes or f"{key}0" in attributes


def _names(attributes: Any, key: str) -> tuple[str, ...]:
    """Read a list of names; Keras splits what is too long for HDF5 into `key0`, `key1`, ..."""
    found: list[Any] = []
    if key in attributes:
        found = list(attributes[key])
    else:
        part = 0
        while f"{key}{part}" in attributes:
            found += list(attributes[f"{key}{part}"])
            part += 1
    return tuple(text_of(name) for name in found)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file, or give None if it is no HDF5."""
    if not path.is_file() or not h5py.is_hdf5(path):
        yield None
        return
    with h5py.File(path, "r") as file:
        yield file


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError) as problem:
        raise OptionError(
            f"the model {str(path)!r} is damaged ({first_line(problem)}); save it again"
        ) from problem


CONTAINERS.register(
    "hdf5",
    Container("hdf5", "whole models in HDF5 (.h5)", True, is_whole_model, _read_whole),
)
CONTAINERS.register(
    "weights",
    Container("weights", "weights in HDF5 (.h5)", False, is_weights, _read_with_architecture),
)
