"""From the recognised parts to a decoder of ours with their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecap.decoders.merge_options import MergeOptions
from edgecap.importing.graph import Layer, shapes_text, stopped_at
from edgecap.importing.recognise import Parts, input_shape
from edgecap.importing.recurrent import Recurrent
from edgecap.importing.steps import Dense, Scale
from edgecap_runtime.errors import OptionError


@dataclass(frozen=True)
class Filling:
    """What goes into a decoder of ours."""

    family: str
    """"merge-lstm" or "merge-bilstm"."""

    options: MergeOptions
    """Its settings; `mask`, `length` and `padded` as the graph alone says."""

    words: int
    """V, the vocabulary's size."""

    features: int
    """F, the width of the image's features."""

    parts: Parts
    """Where the weights are."""


def settle(parts: Parts) -> Filling:
    """Find the decoder that computes what the recognised graph does.

    Raises:
        OptionError: the parts are of kinds or sizes that our decoder doesn't combine.
    """
    recurrent = (*parts.words, *parts.merged)
    first = recurrent[0]
    for step in recurrent[1:]:
        if step.bidirectional != first.bidirectional:
            raise stopped_at(step.layers[0], "has another number of directions than the first LSTM")
        if step.gate != first.gate:
            raise stopped_at(
                step.layers[0], f"has {step.gate} gates and the first LSTM {first.gate} ones"
            )
    rows, columns = parts.embedding.table.shape
    outputs = parts.output.kernel.shape[1]
    if outputs != rows:
        raise OptionError(
            f"the softmax ({parts.output.layers[0]}) says {outputs} words and the Embedding "
            f"({parts.embedding.layers[0]}) reads {rows}; a captioner has one vocabulary for both"
        )
    image_width = joined_width(parts)
    features = parts.image_projection.kernel.shape[0] if parts.image_projection else image_width
    _check_features(parts, features)
    options = replace(
        MergeOptions(feature_norm=parts.feature_norm is not None),
        embedding=columns,
        word_units=tuple(step.units for step in parts.words),
        word_projection=_units(parts.word_projection),
        image_projection=_units(parts.image_projection),
        merge=parts.merge,
        merged_units=tuple(step.units for step in parts.merged),
        hidden=_units(parts.hidden),
        recurrent_activation=first.gate,
        mask=parts.mask,
        length=parts.length or MergeOptions.length,
        **dict(_activations(parts)),
    )
    family = "merge-bilstm" if first.bidirectional else "merge-lstm"
    return Filling(family, options, rows, features, parts)


def joined_width(parts: Parts) -> int:
    """Give the width in which the image comes to where it joins the words."""
    last = parts.words[-1]
    words = _units(parts.word_projection) or last.units * (2 if last.bidirectional else 1)
    joined = int(_after_join(parts).shape[0])
    image = joined if parts.merge == "add" else joined - words
    if image < 1:
        raise stopped_at(parts.join, f"gets words {words} wide and gives on {joined} values")
    return image


def fill(decoder: Any, filling: Filling) -> None:
    """Put the recognised weights into a decoder built for them.

    Raises:
        OptionError: an array has another shape than its place.
    """
    for layer, arrays, source in _weights(decoder, filling.parts):
        wanted = [tuple(variable.shape) for variable in layer.weights]
        found = [array.shape for array in arrays]
        if wanted != found:
            raise stopped_at(
                source,
                f"has weights of {shapes_text(found)} where the graph asks for "
                f"{shapes_text(wanted)}",
            )
        layer.set_weights(arrays)


def _weights(decoder: Any, parts: Parts) -> Iterator[tuple[Any, Sequence[np.ndarray], Layer]]:
    """Go through (our layer, its arrays, the layer that they come from)."""
    yield decoder.word_embedding, [parts.embedding.table], parts.embedding.layers[0]
    order = _row_order(parts)
    stacks = ((decoder.word_recurrent, parts.words), (decoder.merged_recurrent, parts.merged))
    for stack, steps in stacks:
        for layer, step in zip(stack, steps, strict=True):
            arrays = _reordered(step, order) if step is _first_after_join(parts) else step.weights
            yield layer, arrays, step.layers[0]
    for layer, dense in (
        (decoder.word_projection, parts.word_projection),
        (decoder.image_projection, parts.image_projection),
        (decoder.hidden, parts.hidden),
        (decoder.output_projection, parts.output),
    ):
        if dense is not None:
            kernel = dense.kernel[order] if dense is _first_after_join(parts) else dense.kernel
            yield layer, [kernel, dense.bias], dense.layers[0]
    if parts.feature_norm is not None:
        yield decoder.feature_norm, _norm(decoder.feature_norm, parts.feature_norm), parts.join


def _norm(layer: Any, scale: Scale) -> list[np.ndarray]:
    """A batch normalisation whose mean is 0 and whose deviation is 1: gamma and beta do it all."""
    zeros = np.zeros_like(scale.scale)
    return [
        array.astype(np.float32)
        for array in (scale.scale, scale.shift, zeros, zeros + (1.0 - layer.epsilon))
    ]


def _first_after_join(parts: Parts) -> Recurrent | Dense:
    return parts.merged[0] if parts.merged else parts.hidden or parts.output


def _after_join(parts: Parts) -> np.ndarray:
    """The matrix that reads image and words."""
    first = _first_after_join(parts)
    return first.kernel if isinstance(first, Dense) else first.weights[0]


def _row_order(parts: Parts) -> np.ndarray:
    """The rows of that matrix with the words before the image, as our decoder joins them."""
    image = joined_width(parts)
    rows = np.arange(_after_join(parts).shape[0])
    if parts.merge == "add" or not parts.image_first:
        return rows
    return np.concatenate([rows[image:], rows[:image]])


def _reordered(step: Recurrent, order: np.ndarray) -> list[np.ndarray]:
    return [array[order] if place % 3 == 0 else array for place, array in enumerate(step.weights)]


def _units(dense: Dense | None) -> int:
    return 0 if dense is None else int(dense.kernel.shape[1])


def _activations(parts: Parts) -> Iterator[tuple[str, Any]]:
    for option, dense in (
        ("word_activation", parts.word_projection),
        ("image_activation", parts.image_projection),
        ("hidden_activation", parts.hidden),
    ):
        if dense is not None:
            try:
                MergeOptions(**{option: dense.activation})  # type: ignore[arg-type]
            except OptionError:
                raise stopped_at(
                    dense.layers[0], f"has the activation {dense.activation!r}"
                ) from None
            yield option, dense.activation


def _check_features(parts: Parts, features: int) -> None:
    shape = input_shape(parts.image)
    if not parts.has_encoder and len(shape) != 2:
        raise stopped_at(
            parts.image,
            f"takes images of shape {list(shape)[1:]} and has no global average pooling behind it",
        )
    if not parts.has_encoder and shape[1] not in (None, features):
        raise stopped_at(parts.image, f"gives {shape[1]} features where {features} are read")
