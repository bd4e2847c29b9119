"""A captioner's graph, recognised by its structure: layer names mean nothing.

From the softmax back to where the image joins; from there back to the word ids on one side and to
the image on the other. Each of the three chains has to have the steps of a merge decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgecap.importing.graph import Graph, Layer, stopped_at
from edgecap.importing.masks import mask_semantics
from edgecap.importing.recurrent import Recurrent
from edgecap.importing.steps import (
    Activation,
    Dense,
    Embedding,
    Repeat,
    Scale,
    Step,
    read_steps,
    unwrapped,
)

Kind = TypeVar("Kind", Dense, Embedding, Recurrent, Repeat, Scale)

POOLS = ("GlobalAveragePooling2D", "GlobalMaxPooling2D")
"""Layers that end an encoder."""


@dataclass(frozen=True)
class Parts:
    """What the steps of a merge decoder were found to be."""

    embedding: Embedding
    """Word vectors."""

    words: tuple[Recurrent, ...]
    """LSTMs that read the words alone."""

    word_projection: Dense | None
    """After them."""

    feature_norm: Scale | None
    """Over the image's features, where no Dense layer could take it in."""

    image_projection: Dense | None
    """Over the image's features."""

    repeat: Repeat | None
    """Puts the image beside each word."""

    join: Layer
    """Adds or concatenates image and words."""

    merge: str
    """"add" or "concatenate"."""

    image_first: bool
    """Whether a Concatenate has the image first."""

    merged: tuple[Recurrent, ...]
    """LSTMs that read both."""

    hidden: Dense | None
    """Before the vocabulary."""

    output: Dense
    """To the vocabulary."""

    ids: Layer
    """The input of the word ids."""

    image: Layer
    """The input of the features, or the pooling that ends an encoder."""

    mask: str
    """Which LSTMs skip id 0: "keras2", "keras3" or "none"."""

    @property
    def has_encoder(self) -> bool:
        """Whether the graph begins with pixels."""
        return self.image.class_name in POOLS

    @property
    def length(self) -> int | None:
        """How long the padded prefix is, where the graph says."""
        shape = input_shape(self.ids)
        if len(shape) == 2 and shape[1]:
            return int(shape[1])
        return self.repeat.times if self.repeat is not None and self.repeat.times > 1 else None


def input_shape(layer: Layer) -> tuple[int | None, ...]:
    """Give the shape of a model's input, rows (None) first; () where it isn't recorded."""
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape") or ()
    return tuple(shape)


def recognise(graph: Graph) -> Parts:
    """Find the parts of a captioner.

    Raises:
        OptionError: the graph is something else; names the layer where that showed.
    """
    keras = graph.origin.keras
    trunk, join = _chain(graph.output)
    if len(join.sources) != 2 or join.operation not in ("Add", "Concatenate"):
        raise stopped_at(join, _no_join(join))
    sides = [_chain(source.layer) for source in join.sources]
    for source in join.sources:
        _check_first_output(source.layer, source.place)
    reading = [
        any(unwrapped(layer).class_name == "Embedding" for layer in side) for side, _ in sides
    ]
    if reading.count(True) != 1:
        both = "both of its sides" if all(reading) else "neither of its sides"
        raise stopped_at(join, f"has an Embedding on {both}")
    word_side, image_side = reading.index(True), reading.index(False)

    word_chain, ids = sides[word_side]
    embedding, words, word_projection = _words(word_chain, ids, keras)
    image_chain, image = _cut(*sides[image_side])
    feature_norm, image_projection, repeat = _image(image_chain, image, keras)

    in_sequence = words[-1].sequences
    if in_sequence != (repeat is not None):
        raise stopped_at(
            join,
            "gets the words as a sequence and the image as one vector"
            if in_sequence
            else "gets the image as a sequence and the words as one vector",
        )
    _check_join(join, axes=3 if in_sequence else 2)
    merged, hidden, output = _trunk(trunk, join, keras, in_sequence)
    return Parts(
        embedding=embedding,
        words=words,
        word_projection=word_projection,
        feature_norm=feature_norm,
        image_projection=image_projection,
        repeat=repeat,
        join=join,
        merge=join.operation.lower(),
        image_first=image_side == 0,
        merged=merged,
        hidden=hidden,
        output=output,
        ids=ids,
        image=image,
        mask=mask_semantics(
            [step.layers[0] for step in words],
            [step.layers[0] for step in merged],
            join=join,
            ids=ids,
            mask_zero=embedding.mask_zero,
            keras=keras,
        ),
    )


def _chain(layer: Layer) -> tuple[list[Layer], Layer]:
    """Walk back while a layer reads one other; gives those layers, first one first, and the end."""
    found: list[Layer] = []
    while layer.before is not None:
        found.append(layer)
        for name in layer.keywords:
            if name != "mask":
                raise stopped_at(layer, f"is given its {name} by another layer")
        _check_first_output(layer.before, layer.sources[0].place)
        layer = layer.before
    return found[::-1], layer


def _check_first_output(layer: Layer, place: int) -> None:
    if place:
        raise stopped_at(layer, "has its state read by another layer (return_state)")


def _no_join(layer: Layer) -> str:
    if not layer.sources:
        return "is an input, with no Add or Concatenate of image and words behind it"
    if layer.class_name in ("LSTM", "CuDNNLSTM", "GRU", "Bidirectional"):
        return "is given its initial_state by another layer"
    return f"joins {len(layer.sources)} layers where an Add or Concatenate of two is looked for"


def _check_join(join: Layer, axes: int) -> None:
    axis = join.config.get("axis", -1) if join.operation == "Concatenate" else -1
    if axis not in (-1, axes - 1):
        raise stopped_at(
            join, f"puts image and words one after the other (axis={axis}), not side by side"
        )


def _cut(chain: list[Layer], end: Layer) -> tuple[list[Layer], Layer]:
    """Leave the encoder out of the image's chain."""
    for place in reversed(range(len(chain))):
        if chain[place].class_name in POOLS:
            rest = chain[place + 1 :]
            while rest and rest[0].class_name in ("Flatten", "Reshape"):
                rest = rest[1:]
            return rest, chain[place]
    return chain, end


def _words(
    chain: Sequence[Layer], ids: Layer, keras: int
) -> tuple[Embedding, tuple[Recurrent, ...], Dense | None]:
    if ids.sources:
        raise stopped_at(ids, "joins several layers on the way from the words")
    steps = read_steps(chain, keras, axes=2)
    embedding = _take(steps, Embedding)
    if embedding is None:
        raise stopped_at(steps[0].layers[0], "stands between the word ids and their Embedding")
    words = _take_recurrent(steps)
    projection = _take(steps, Dense)
    _nothing_left(steps, "on the words' side")
    if not words:
        raise stopped_at(embedding.layers[0], "has no LSTM behind it before the image joins")
    return embedding, words, projection


def _image(
    chain: Sequence[Layer], image: Layer, keras: int
) -> tuple[Scale | None, Dense | None, Repeat | None]:
    if image.sources and image.class_name not in POOLS:
        raise stopped_at(image, "joins several layers on the way from the image")
    steps = read_steps(chain, keras, axes=2)
    scale = _take(steps, Scale)
    projection = _take(steps, Dense)
    repeat = _take(steps, Repeat)
    _nothing_left(steps, "on the image's side")
    return scale, projection, repeat


def _trunk(
    chain: Sequence[Layer], join: Layer, keras: int, in_sequence: bool
) -> tuple[tuple[Recurrent, ...], Dense | None, Dense]:
    steps = read_steps(chain, keras, axes=3 if in_sequence else 2)
    merged = _take_recurrent(steps)
    first, second = _take(steps, Dense), _take(steps, Dense)
    _nothing_left(steps, "between the image and the vocabulary")
    output, hidden = (second, first) if second is not None else (first, None)
    if output is None:
        raise stopped_at(join, "has no Dense layer to the vocabulary behind it")
    if output.activation not in ("softmax", "linear"):
        raise stopped_at(output.layers[0], f"ends in {output.activation}, not in a softmax")
    if in_sequence and (not merged or merged[-1].sequences):
        last = merged[-1].layers[0] if merged else join
        raise stopped_at(last, "gives an output for each place, not the one after the last word")
    return merged, hidden, output


def _take(steps: list[Step], kind: type[Kind]) -> Kind | None:
    """Take the first step if it is of that kind."""
    first = steps[0] if steps else None
    if not isinstance(first, kind):
        return None
    del steps[0]
    return first


def _take_recurrent(steps: list[Step]) -> tuple[Recurrent, ...]:
    taken: list[Recurrent] = []
    while (step := _take(steps, Recurrent)) is not None:
        if taken and not taken[-1].sequences:
            raise stopped_at(taken[-1].layers[0], "gives its last output alone to the next LSTM")
        taken.append(step)
    return tuple(taken)


def _nothing_left(steps: Sequence[Step], where: str) -> None:
    if steps:
        step = steps[0]
        what = f"activation {step.name}" if isinstance(step, Activation) else type(step).__name__
        raise stopped_at(step.layers[0], f"is one {what} too many {where}")
