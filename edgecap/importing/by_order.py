"""Weights without any record of their graph: matched to a decoder's layers by order and shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecap.importing.containers.hdf5 import LayerArrays, WeightsFile
from edgecap.importing.graph import major_version, shapes_text
from edgecap.importing.recurrent import from_cudnn
from edgecap.importing.table import Taken
from edgecap_runtime.errors import OptionError


def default_gate(file: WeightsFile, path: Path) -> str:
    """Give the gate that LSTMs had by default in the Keras that wrote a file.

    Keras 2.3 changed it from `hard_sigmoid` to `sigmoid`. TensorFlow's own Keras called itself
    2.2.4-tf both before and after it did.

    Raises:
        OptionError: the version doesn't tell.
    """
    numbers = file.keras_version.partition("-")[0].split(".")
    if not file.keras_version or file.keras_version.startswith("2.2.4-tf"):
        raise OptionError(
            f"{str(path)!r} was written by Keras {file.keras_version or 'of an unknown version'}, "
            "whose LSTMs had one of two gates; say which by --set decoder.recurrent_activation="
            "sigmoid or =keras2_hard_sigmoid"
        )
    old = major_version(file.keras_version) == 2 and int(numbers[1]) < 3
    return "keras2_hard_sigmoid" if old else "sigmoid"


def fill_by_order(decoder: Any, file: WeightsFile, path: Path) -> tuple[Taken, ...]:
    """Fill a decoder from a file of weights alone.

    Keras lists layers by their depth in the graph, so what reads another layer comes after it.

    Args:
        decoder: a `MergeDecoder`; filled in place.
        file: the weights.
        path: the file, for sentences.

    Returns:
        What each layer of the file was taken for.

    Raises:
        OptionError: a layer of the decoder finds no weights of its shapes, or some are left.
    """
    if _alike(decoder.word_projection, decoder.image_projection):
        raise OptionError(
            "word projection and image projection have the same shapes, so weights alone don't say "
            "which is which; give the graph by --architecture FILE.json (from model.to_json())"
        )
    left = [_plain(item) for item in file.layers]
    rows: list[Taken] = []
    for role, layer in _places(decoder):
        wanted = [tuple(variable.shape) for variable in layer.weights]
        found = next(
            (item for item in left if [array.shape for array in item.arrays] == wanted), None
        )
        if found is None:
            there = "; ".join(shapes_text([array.shape for array in item.arrays]) for item in left)
            raise OptionError(
                f"no layer of {str(path)!r} has the shapes of the decoder's {role}, "
                f"{shapes_text(wanted)}; left are {there or 'none'}: change the decoder by "
                "--set decoder.OPTION=VALUE, or check vocabulary and encoder"
            )
        left.remove(found)
        layer.set_weights(list(found.arrays))
        rows.append(Taken(found.layer, type(layer).__name__, role, shapes_text(wanted)))
    if left:
        names = ", ".join(item.layer for item in left)
        raise OptionError(
            f"{len(left)} layers of {str(path)!r} have no place in the decoder ({names}); change "
            "it by --set decoder.OPTION=VALUE"
        )
    order = {item.layer: place for place, item in enumerate(file.layers)}
    return tuple(sorted(rows, key=lambda row: order[row.layer]))


def _places(decoder: Any) -> Iterator[tuple[str, Any]]:
    """Go through the decoder's layers with weights, each after those that it reads."""
    yield "word vectors", decoder.word_embedding
    for layer in decoder.word_recurrent:
        yield "LSTM that reads the words", layer
    for role, layer in (
        ("word projection", decoder.word_projection),
        ("feature normalisation", decoder.feature_norm),
        ("image projection", decoder.image_projection),
    ):
        if layer is not None:
            yield role, layer
    for layer in decoder.merged_recurrent:
        yield "LSTM that reads words and image", layer
    for role, layer in (
        ("hidden layer", decoder.hidden),
        ("output layer", decoder.output_projection),
    ):
        if layer is not None:
            yield role, layer


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    return [tuple(item.shape) for item in one.weights] == [
        tuple(item.shape) for item in other.weights
    ]


def _plain(item: LayerArrays) -> LayerArrays:
    """Rewrite a CuDNNLSTM's arrays, which two biases give away."""
    arrays: Sequence[np.ndarray] = item.arrays
    cudnn = len(arrays) % 3 == 0 and all(
        array.shape == (8 * arrays[1].shape[0],) for array in arrays[2::3]
    )
    if not arrays or not cudnn:
        return item
    plain = [
        array
        for place in range(0, len(arrays), 3)
        for array in from_cudnn(arrays[place : place + 3])
    ]
    return LayerArrays(item.layer, item.names, tuple(plain))
