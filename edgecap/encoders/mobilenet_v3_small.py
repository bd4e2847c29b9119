"""MobileNet V3 small (Howard et al. 2019, arXiv:1905.02244), average of its last feature map."""

from __future__ import annotations

from edgecap.encoders.applications import pooled
from edgecap.encoders.registry import ENCODERS, Encoder

ENCODERS.register(
    "mobilenet_v3_small",
    Encoder(
        name="mobilenet_v3_small",
        # Keras' own scaling layer would come on top of the registry's, which is the same.
        build=pooled("MobileNetV3Small", include_preprocessing=False),
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.75, 1.0),
    ),
)
