"""MobileNet V3 large (Howard et al. 2019, arXiv:1905.02244), average of its last feature map."""

from __future__ import annotations

from typing import Any

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions


def _build(options: EncoderOptions, weights: str | None) -> Any:
    import keras

    return keras.applications.MobileNetV3Large(
        input_shape=(options.size, options.size, 3),
        alpha=options.width,
        include_top=False,
        pooling="avg",
        weights=weights,
        # Keras' own scaling layer would come on top of the registry's, which is the same.
        include_preprocessing=False,
    )


ENCODERS.register(
    "mobilenet_v3_large",
    Encoder(
        name="mobilenet_v3_large",
        build=_build,
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.75, 1.0),
    ),
)
