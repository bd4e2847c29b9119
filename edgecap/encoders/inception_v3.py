"""Inception V3 (Szegedy et al. 2015, arXiv:1512.00567), global average of its last feature map."""

from __future__ import annotations

from typing import Any

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions


def _build(options: EncoderOptions, weights: str | None) -> Any:
    import keras

    return keras.applications.InceptionV3(
        input_shape=(options.size, options.size, 3),
        include_top=False,
        pooling="avg",
        weights=weights,
    )


ENCODERS.register(
    "inception_v3",
    Encoder(
        name="inception_v3",
        build=_build,
        default_size=299,
        least_size=75,
        widths=(1.0, 1.0),
        imagenet_widths=(1.0,),
    ),
)
