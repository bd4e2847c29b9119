"""An encoder inside an imported graph: its weights fitted into ours, layer by layer.

Both graphs are walked side by side from the pooled features back to the pixels. Where class,
settings and shapes agree everywhere, they compute the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edgecap.importing.config import read_graph
from edgecap.importing.containers.living import living_layers, living_weights, record_of
from edgecap.importing.graph import Graph, Layer, Origin, stopped_at
from edgecap.importing.recognise import POOLS, input_shape
from edgecap.importing.steps import HARMLESS
from edgecap_runtime.errors import OptionError

_COMPARED = (
    *("strides", "padding", "dilation_rate", "kernel_size", "pool_size", "groups"),
    *("depth_multiplier", "use_bias", "activation", "scale", "center", "keepdims"),
    *("max_value", "negative_slope", "threshold", "height_factor", "target_shape"),
)
_OFF = (None, 0, 0.0, False, "linear", 1, (1, 1), [1, 1])
"""Values of these options that change nothing; an absent one doesn't either."""

Affine: TypeAlias = tuple[float, float]
"""Scale and offset."""

_UNSCALED: Affine = (1.0, 0.0)
_AFFINE = ("Rescaling", "TrueDivide", "Multiply", "Subtract", "Add")


@dataclass(frozen=True)
class Fitted:
    """An encoder that got its weights from an imported graph."""

    layers: tuple[Layer, ...]
    """The imported layers that gave them."""

    scaled: bool
    """Whether the imported graph scales the pixels itself."""


def pixel_size(image: Layer) -> int | None:
    """Give the side of the square image that the imported encoder takes, where it says.

    Raises:
        OptionError: it takes no square RGB image.
    """
    shape = input_shape(_input_of(image))
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise OptionError(
            f"the graph takes images of shape {list(shape)[1:]}; supported are square RGB ones, "
            "[side, side, 3]"
        )
    return shape[1]


def pooled(graph: Graph) -> Layer:
    """Find where an encoder of its own ends in pooled features, a classifier behind them or not.

    Raises:
        OptionError: it has no global pooling.
    """
    layer: Layer | None = graph.output
    while layer is not None:
        if layer.class_name in POOLS:
            return layer
        layer = layer.before
    raise stopped_at(graph.output, "has no global average pooling before it")


def fit_encoder(image: Layer, origin: Origin, encoder: Any, family: str) -> Fitted:
    """Fill our encoder from an imported graph.

    Args:
        image: the imported layer that gives the features.
        origin: where it comes from.
        encoder: `edgecap.encoders.Encoder.model`'s; filled in place.
        family: its name, for sentences.

    Raises:
        OptionError: the two graphs differ; names the layers where that showed.
    """
    if origin.backend == "theano":
        raise OptionError(
            "the model was saved with Theano, whose convolutions are turned by half a circle; load "
            "and save it with TensorFlow first"
        )
    ours = _graph_of(encoder)
    living = living_layers(encoder)
    match = _Match(family)
    match.walk(image, ours.output)
    for theirs, own in match.pairs:
        living[own.name].set_weights(list(theirs.weights))
    return Fitted(tuple(theirs for theirs, _ in match.pairs), match.scaled)


def _graph_of(encoder: Any) -> Graph:
    return read_graph(record_of(encoder), living_weights(encoder), Origin("", "", 3))


def _input_of(layer: Layer) -> Layer:
    while layer.sources:
        layer = layer.sources[0].layer
    return layer


class _Match:
    def __init__(self, family: str) -> None:
        self.pairs: list[tuple[Layer, Layer]] = []
        self.scaled = False
        self._family = family
        self._matched: dict[int, Layer] = {}

    def walk(self, theirs: Layer, ours: Layer) -> None:
        """Match two layers and all that they depend on."""
        waiting = [(theirs, ours)]
        while waiting:
            their_scale, theirs = _affine(_plain(waiting[-1][0]))
            our_scale, ours = _affine(_plain(waiting.pop()[1]))
            if id(ours) in self._matched:
                if self._matched[id(ours)] is not theirs:
                    raise self._differ(theirs, ours, "it is read in another place")
                continue
            self._matched[id(ours)] = theirs
            if not theirs.sources and not ours.sources:
                self._check_scales(their_scale, our_scale)
                continue
            if not np.allclose(their_scale or _UNSCALED, our_scale or _UNSCALED, rtol=1e-5):
                raise self._differ(theirs, ours, "the values behind it are scaled differently")
            self._compare(theirs, ours)
            waiting += [
                (a.layer, b.layer) for a, b in zip(theirs.sources, ours.sources, strict=True)
            ]

    def _compare(self, theirs: Layer, ours: Layer) -> None:
        for what, (one, other) in {
            "classes": (_kind(theirs), _kind(ours)),
            "numbers of inputs": (len(theirs.sources), len(ours.sources)),
            "settings": (dict(_settings(theirs)), dict(_settings(ours))),
            "shapes of weights": tuple(
                [array.shape for array in layer.weights] for layer in (theirs, ours)
            ),
        }.items():
            if one != other:
                raise self._differ(theirs, ours, f"the {what} differ, {one} and {other}")
        if theirs.weights:
            self.pairs.append((theirs, ours))

    def _check_scales(self, theirs: Affine | None, ours: Affine | None) -> None:
        self.scaled = theirs is not None
        ours = ours or _UNSCALED
        if theirs is not None and not np.allclose(theirs, ours, rtol=1e-5):
            raise OptionError(
                f"the graph scales pixels by x * {theirs[0]:.6g} + {theirs[1]:.6g} and "
                f"{self._family} by x * {ours[0]:.6g} + {ours[1]:.6g}; choose the --encoder that "
                "the model was built with"
            )

    def _differ(self, theirs: Layer, ours: Layer, why: str) -> OptionError:
        return OptionError(
            f"the encoder in the graph is not {self._family} of this size and width: at its layer "
            f"{theirs} and ours {ours} {why}; choose another --encoder, --size or "
            "--set encoder.width"
        )


def _plain(layer: Layer) -> Layer:
    """Go back over layers that change nothing when captioning."""
    while layer.before is not None and (
        layer.class_name in HARMLESS
        or (layer.class_name == "Activation" and layer.config.get("activation") == "linear")
    ):
        layer = layer.before
    return layer


def _affine(layer: Layer) -> tuple[Affine | None, Layer]:
    """Go back over x * scale + offset; gives scale and offset together, None if there is none."""
    found: Affine | None = None
    while layer.before is not None and layer.operation in _AFFINE:
        scale, offset = _one_affine(layer)
        outer = found or _UNSCALED
        found = (outer[0] * scale, outer[0] * offset + outer[1])
        layer = _plain(layer.before)
    return found, layer


def _one_affine(layer: Layer) -> Affine:
    if layer.operation == "Rescaling":
        values = (layer.config["scale"], layer.config.get("offset", 0.0))
    else:
        values = (layer.constants[0] if len(layer.constants) == 1 else None, 0.0)
    if not all(isinstance(value, (int, float)) for value in values):
        raise OptionError(
            f"the layer {layer} scales pixels by {values[0]!r}; supported is one number for all "
            "channels"
        )
    value = float(values[0])
    return {
        "Rescaling": (value, float(values[1])),
        "Multiply": (value, 0.0),
        "TrueDivide": (1.0 / value if value else float("inf"), 0.0),
        "Add": (1.0, value),
        "Subtract": (1.0, -value),
    }[layer.operation]


def _kind(layer: Layer) -> str:
    """Give a layer's class, one name for the several ways to write an activation."""
    if layer.class_name == "Activation":
        return str(layer.config.get("activation"))
    return {"ReLU": "relu"}.get(layer.class_name, layer.class_name)


def _settings(layer: Layer) -> Iterator[tuple[str, Any]]:
    """Give what a layer's function depends on beside its weights."""
    config: Mapping[str, Any] = layer.config
    for key in _COMPARED:
        value = config.get(key)
        if value not in _OFF and layer.class_name != "Activation":
            yield key, tuple(value) if isinstance(value, list) else value
    if layer.class_name == "BatchNormalization":
        yield "epsilon", round(float(config["epsilon"]), 9)
    if layer.class_name == "ZeroPadding2D":
        yield "padding", tuple(tuple(side) for side in config["padding"])
    if config.get("data_format") == "channels_first":
        yield "data_format", "channels_first"
    if layer.class_name == "Concatenate" and config.get("axis", -1) not in (-1, 3):
        yield "axis", config["axis"]
