"""What each layer of an imported graph was taken for, for people to check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgecap.decoders.merge_options import MergeOptions
from edgecap.importing.graph import Graph, Layer
from edgecap.importing.pixels import Fitted
from edgecap.importing.recognise import Parts
from edgecap.importing.recurrent import Recurrent
from edgecap.importing.steps import HARMLESS, Dense


@dataclass(frozen=True)
class Taken:
    """One row of the table."""

    layer: str
    """The layer's name in the file."""

    class_name: str
    """Its class there."""

    taken_for: str
    """What it is in our captioner."""

    details: str
    """Sizes and the rest."""


def describe(
    graph: Graph, parts: Parts, options: MergeOptions, fitted: Fitted | None
) -> tuple[Taken, ...]:
    """Make the table, in the order of the graph.

    Args:
        graph: as read from the file.
        parts: what was recognised in it.
        options: the decoder's settings, the mask as it was settled.
        fitted: the encoder in the graph, if there is one.
    """
    roles = {
        id(layer): (role, details)
        for layers, role, details in _roles(parts, options)
        for layer in layers
    }
    rows = []
    for layer in graph.layers:
        if id(layer) in roles:
            rows.append(Taken(layer.name, layer.class_name, *roles[id(layer)]))
        elif layer.class_name in HARMLESS or _is_linear(layer):
            rows.append(Taken(layer.name, layer.class_name, "nothing", "changes no caption"))
    if fitted is None:
        return tuple(rows)
    first, last = fitted.layers[-1], fitted.layers[0]
    details = f"{len(fitted.layers)} layers with weights, up to {last.name}"
    return (Taken(first.name, first.class_name, "encoder, from here on", details), *rows)


def _is_linear(layer: Layer) -> bool:
    return layer.class_name == "Activation" and layer.config.get("activation") == "linear"


def _roles(parts: Parts, options: MergeOptions) -> Iterator[tuple[Sequence[Layer], str, str]]:
    rows, width = parts.embedding.table.shape
    masks = {"keras2": (True, True), "keras3": (True, False), "none": (False, False)}[options.mask]
    yield [parts.ids], "word ids", f"prefix padded to {parts.length}" if parts.length else ""
    yield parts.embedding.layers, "word vectors", f"{rows} words x {width}"
    for step in parts.words:
        yield step.layers, "reads the words", _recurrent(step, masks[0])
    if parts.word_projection is not None:
        yield parts.word_projection.layers, "projects them", _dense(parts.word_projection)
    features = "pooled features" if parts.has_encoder else "features"
    yield [parts.image], "image", features
    if parts.feature_norm is not None:
        yield (
            parts.feature_norm.layers,
            "normalises the features",
            f"{parts.feature_norm.scale.size}",
        )
    if parts.image_projection is not None:
        yield parts.image_projection.layers, "projects the image", _dense(parts.image_projection)
    if parts.repeat is not None:
        yield parts.repeat.layers, "puts the image beside each word", ""
    joined = "added" if parts.merge == "add" else "concatenated"
    first = ", image first: rows of the next layer reordered" if parts.image_first else ""
    yield [parts.join], "joins words and image", joined + (first if joined[0] == "c" else "")
    for step in parts.merged:
        yield step.layers, "reads words and image", _recurrent(step, masks[1])
    if parts.hidden is not None:
        yield parts.hidden.layers, "before the vocabulary", _dense(parts.hidden)
    yield parts.output.layers, "says the next word", f"{parts.output.kernel.shape[1]} words"


def _recurrent(step: Recurrent, masked: bool) -> str:
    both = "2 x " if step.bidirectional else ""
    mask = "skips padding" if masked else "reads padding"
    return f"{both}{step.units} units, {step.gate} gates, {mask}"


def _dense(dense: Dense) -> str:
    return f"{dense.kernel.shape[1]}, {dense.activation}"
