"""The neutral graph that every container is read into.

Keras 2 and Keras 3 write a model's graph in different words, nest models in models, and keep the
weights elsewhere. Here it is one flat list of layers, each called once, with its weights beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecap_runtime.errors import OptionError

SUPPORTED = (
    "an Embedding and LSTMs that read the words, Dense layers over the image's features, Add or "
    "Concatenate that joins the two, LSTMs and Dense layers to a softmax (docs/importing.md)"
)
"""What the recogniser knows; ends the sentence of every refusal."""

_FUNCTIONS = {
    "add": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "truediv": "TrueDivide",
    "divide": "TrueDivide",
    "not_equal": "NotEqual",
}


@dataclass(frozen=True)
class Origin:
    """Where a graph comes from."""

    container: str
    """Name of the container, e.g. "hdf5"."""

    keras_version: str
    """The version of Keras that wrote the file, as recorded there; "" where it is not."""

    keras: int
    """2 or 3: the major version, by the record or else by the way the graph is written."""

    backend: str = ""
    """The backend that Keras computed with, as recorded; "" where it is not."""

    def says(self) -> str:
        """Name the version in a sentence."""
        return f"Keras {self.keras_version or self.keras}"


@dataclass(frozen=True, eq=False)
class Source:
    """One input of a layer."""

    layer: Layer
    """The layer that it comes from."""

    place: int
    """Which of that layer's outputs it is."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer, called once."""

    class_name: str
    """Keras' name of its class, e.g. "LSTM"."""

    name: str
    """Its name in the file; one inside nested models bears theirs before it: "cnn/conv1"."""

    config: Mapping[str, Any]
    """Its settings as Keras recorded them."""

    sources: tuple[Source, ...] = ()
    """Its tensor inputs, in order; none for an input of the model."""

    constants: tuple[Any, ...] = ()
    """What else it was called with, in order: the 127.5 of `pixels / 127.5`."""

    keywords: Mapping[str, Source | None] = field(default_factory=dict)
    """The masks and states it was called with by name; None where that was recorded as None."""

    weights: tuple[np.ndarray, ...] = ()
    """Its arrays, in Keras' order (trainable ones first)."""

    def __str__(self) -> str:
        return f"{self.name!r} ({self.class_name})"

    @property
    def operation(self) -> str:
        """What it does: its class, or Keras 3's name of the plain TensorFlow function it wraps."""
        if self.class_name != "TFOpLambda":
            return self.class_name
        function = str(self.config.get("function", "")).rpartition(".")[2]
        return _FUNCTIONS.get(function, self.class_name)

    @property
    def before(self) -> Layer | None:
        """The layer that its only input comes from; None if it hasn't exactly one."""
        return self.sources[0].layer if len(self.sources) == 1 else None


@dataclass(frozen=True)
class Graph:
    """A model as read from a file."""

    layers: tuple[Layer, ...]
    """All layers, each after those that it reads."""

    output: Layer
    """The layer whose output is the model's."""

    origin: Origin
    """Where it comes from."""


def stopped_at(layer: Layer, why: str) -> OptionError:
    """Make the refusal of a graph that isn't understood at `layer`."""
    return OptionError(
        f"the graph is understood up to the layer {layer}, which {why}; supported is {SUPPORTED}"
    )


def ancestors(layer: Layer) -> Iterator[Layer]:
    """Go through a layer and all that it depends on by its inputs, each once."""
    seen: set[int] = set()
    waiting = [layer]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [source.layer for source in found.sources]


def text_of(value: Any) -> str:
    """Give a text that HDF5 or JSON may hold as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def shapes_text(shapes: Sequence[tuple[int, ...]]) -> str:
    """Write arrays' shapes: "300 x 1024, 256 x 1024, 1024"."""
    return ", ".join(" x ".join(map(str, shape)) for shape in shapes)


def major_version(version: str) -> int | None:
    """Give the 2 of "2.2.4-tf"; None where there is no number."""
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else None
