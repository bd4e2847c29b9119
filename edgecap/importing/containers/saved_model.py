"""SavedModel folders of Keras 2, read by tf_keras.

`keras_metadata.pb` holds the record of each layer. It is read first, without running anything, for
tf_keras would run a Lambda layer's code.
"""

from __future__ import annotations

from pathlib import Path

from edgecap.importing.config import is_model, read_graph
from edgecap.importing.containers.living import living_weights, record_of
from edgecap.importing.containers.registry import CONTAINERS, Container, refuse_architecture
from edgecap.importing.containers.tensorflow_keras import saved_records, tf_keras_for
from edgecap.importing.graph import Graph, Origin
from edgecap.importing.safety import refuse_code
from edgecap_runtime.errors import OptionError, first_line

_METADATA = "keras_metadata.pb"


def _is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / "saved_model.pb").is_file()


def _read(path: Path, architecture: Path | None) -> Graph:
    refuse_architecture(path, architecture)
    if not (path / _METADATA).is_file():
        raise OptionError(
            f"the SavedModel {str(path)!r} has no {_METADATA}: it holds functions for serving and "
            "no layers; save the Keras model itself, as .h5 or .keras"
        )
    library = tf_keras_for(path)
    records = saved_records(path / _METADATA)
    refuse_code(records, repr(str(path)))
    from edgecap_export.quiet import quiet

    try:
        with quiet():
            model = library.models.load_model(str(path), compile=False)
            record = record_of(model)
    except Exception as problem:
        raise OptionError(
            f"tf_keras {library.__version__} can't load {str(path)!r} ({first_line(problem)}); "
            "save the model as one .h5 file"
        ) from problem
    if not is_model(record):
        raise OptionError(
            f"the SavedModel {str(path)!r} is a {record['class_name']!r}, whose graph is not "
            "recorded; supported are functional and Sequential models"
        )
    versions = [str(item["keras_version"]) for item in records if "keras_version" in item]
    # Only Keras 2 writes this metadata.
    origin = Origin("saved-model", versions[0] if versions else "", 2)
    return read_graph(record, living_weights(model), origin)


CONTAINERS.register(
    "saved-model",
    Container("saved-model", "SavedModel folders of Keras 2", True, _is_saved_model, _read),
)
