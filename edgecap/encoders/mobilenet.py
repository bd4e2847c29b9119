"""MobileNet V1 (Howard et al. 2017, arXiv:1704.04861), global average of its last feature map."""

from __future__ import annotations

from typing import Any

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions


def _build(options: EncoderOptions, weights: str | None) -> Any:
    import keras

    return keras.applications.MobileNet(
        input_shape=(options.size, options.size, 3),
        alpha=options.width,
        include_top=False,
        pooling="avg",
        weights=weights,
    )


ENCODERS.register(
    "mobilenet",
    Encoder(
        name="mobilenet",
        build=_build,
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.25, 0.5, 0.75, 1.0),
    ),
)
