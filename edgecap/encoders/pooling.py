"""From an encoder's last feature map to one vector of features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecap.registry import Registry

POOLINGS: Registry[Callable[[Any], Any]] = Registry("pooling")
"""From a map [N, h, w, C], a symbolic Keras tensor, to features [N, F]."""


_PLACES = "places"


def _average(features: Any) -> Any:
    """The mean over the map, C wide: what ImageNet's classifiers learned on."""
    import keras

    return keras.layers.GlobalAveragePooling2D(name="average")(features)


def _average_and_maximum(features: Any) -> Any:
    """The mean and, beside it, the maximum: 2 C wide. A mean thins out what is small."""
    import keras

    maximum = keras.layers.GlobalMaxPooling2D(name="maximum")(features)
    return keras.layers.Concatenate(name="features")([_average(features), maximum])


def _quarters(features: Any) -> Any:
    """The mean over the map and over each quarter of it: 5 C wide. It tells where things are.

    Quarters of a map with an odd side share its middle line.
    """
    import keras

    height, width = features.shape[1:3]
    quarters = keras.layers.AveragePooling2D(
        pool_size=(-(-height // 2), -(-width // 2)),
        strides=(max(1, height // 2), max(1, width // 2)),
        name="quarters",
    )(features)
    flat = keras.layers.Flatten(name="quarters_in_line")(quarters)
    return keras.layers.Concatenate(name="features")([_average(features), flat])


def _map(features: Any) -> Any:
    """The whole map, place by place: h w C wide. For a decoder that chooses where to look."""
    import keras

    return keras.layers.Flatten(name=_PLACES)(features)


def places_of(encoder: Any) -> int:
    """Give the places of the map that an encoder pooled by `map` gives, h w; 0 of another."""
    for layer in encoder.layers[-1].layers:
        if layer.name == _PLACES:
            _, height, width, _ = layer.input.shape
            return int(height * width)
    return 0


POOLINGS.register("average", _average)
POOLINGS.register("average_and_maximum", _average_and_maximum)
POOLINGS.register("quarters", _quarters)
POOLINGS.register("map", _map)
