"""MobileNet V2 (Sandler et al. 2018, arXiv:1801.04381), global average of its last feature map."""

from __future__ import annotations

from typing import Any

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions


def _build(options: EncoderOptions, weights: str | None) -> Any:
    import keras

    return keras.applications.MobileNetV2(
        input_shape=(options.size, options.size, 3),
        alpha=options.width,
        include_top=False,
        pooling="avg",
        weights=weights,
    )


ENCODERS.register(
    "mobilenet_v2",
    Encoder(
        name="mobilenet_v2",
        build=_build,
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
)
