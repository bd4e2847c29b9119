"""`.keras` files: a ZIP of config.json, metadata.json and the weights.

Keras 3 reads its own; those of Keras 2.12 and later are read by tf_keras. Either loads the layers
it knows itself; Lambda layers are refused before that, and other classes by Keras.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from edgecap.importing.config import read_graph
from edgecap.importing.containers.hdf5 import read_architecture, writing_keras
from edgecap.importing.containers.living import called, living_weights
from edgecap.importing.containers.registry import CONTAINERS, Container, refuse_architecture
from edgecap.importing.containers.tensorflow_keras import tf_keras_for
from edgecap.importing.graph import Graph, Origin
from edgecap.importing.safety import refuse_code
from edgecap_runtime.errors import EdgecapError, OptionError, first_line


def _is_keras_zip(path: Path) -> bool:
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()


def _is_keras3_weights(path: Path) -> bool:
    """Whether a path holds weights alone in Keras 3's manner, by places instead of names."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        keras2 = {"layer_names", "layer_names0", "model_config"} & set(file.attrs)
        return not keras2 and bool({"layers", "_layer_checkpoint_dependencies"} & set(file))


def _read_zip(path: Path, architecture: Path | None) -> Graph:
    refuse_architecture(path, architecture)
    try:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read("config.json"))
            version = str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise OptionError(
            f"the model {str(path)!r} is damaged ({first_line(problem)}); save it again"
        ) from problem
    refuse_code(record, repr(str(path)))
    library = _library(writing_keras(record, version), path)
    with called(path, ".keras") as named:
        try:
            model = library.models.load_model(named, compile=False, safe_mode=True)
        except Exception as problem:
            raise _unreadable(path, library, problem) from problem
    return _graph(model, record, version, "keras")


def _read_weights(path: Path, architecture: Path | None) -> Graph:
    if architecture is None:
        raise OptionError(
            f"{str(path)!r} holds weights alone; give the graph too, by --architecture FILE.json "
            "(from model.to_json())"
        )
    record = read_architecture(architecture)
    version = str(record.get("keras_version", ""))
    library = _library(writing_keras(record, version), path)
    with called(path, ".weights.h5") as named:
        try:
            model = library.models.model_from_json(json.dumps(record))
            model.load_weights(named)
        except Exception as problem:
            raise _unreadable(path, library, problem) from problem
    return _graph(model, record, version, "weights")


def _library(keras_version: int, path: Path) -> Any:
    if keras_version == 2:
        return tf_keras_for(path)
    import keras

    return keras


def _graph(model: Any, record: Mapping[str, Any], version: str, container: str) -> Graph:
    origin = Origin(container, version, writing_keras(record, version))
    return read_graph(record, living_weights(model), origin)


def _unreadable(path: Path, library: Any, problem: Exception) -> EdgecapError:
    return OptionError(
        f"{library.__name__} {library.__version__} can't load {str(path)!r} "
        f"({first_line(problem)}); save the model again, from Keras' own layers"
    )


CONTAINERS.register("keras", Container("keras", ".keras files", True, _is_keras_zip, _read_zip))
CONTAINERS.register(
    "keras3-weights",
    Container("keras3-weights", "Keras 3's .weights.h5", False, _is_keras3_weights, _read_weights),
)
