"""What Keras 2 alone can read, by its package tf_keras: SavedModels and its own `.keras` files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecap_runtime.errors import MissingExtraError, OptionError, first_line


def tf_keras_for(path: Path) -> Any:
    """Import tf_keras.

    Args:
        path: what needs it, for the sentence.

    Raises:
        MissingExtraError: it is not installed.
    """
    from edgecap_export.quiet import quiet

    try:
        with quiet():
            import tf_keras
    except ImportError:
        raise MissingExtraError(
            f"{str(path)!r} needs Keras 2 to be read; install it with: pip install "
            "'edgecap[import]', or save the model as one .h5 file"
        ) from None
    return tf_keras


def saved_records(path: Path) -> list[dict[str, Any]]:
    """Read the layers' records in a SavedModel's `keras_metadata.pb`, without running anything.

    Raises:
        OptionError: it is damaged.
    """
    from tf_keras.protobuf import saved_metadata_pb2

    metadata = saved_metadata_pb2.SavedMetadata()
    try:
        metadata.ParseFromString(path.read_bytes())
        return [json.loads(node.metadata) for node in metadata.nodes if node.metadata]
    except Exception as problem:  # protobuf's DecodeError is no ValueError in all versions
        raise OptionError(
            f"{str(path)!r} is damaged ({first_line(problem)}); save the model again"
        ) from problem
