"""MobileNet V2 (Sandler et al. 2018, arXiv:1801.04381), global average of its last feature map."""

from __future__ import annotations

from edgecap.encoders.applications import pooled
from edgecap.encoders.registry import ENCODERS, Encoder

ENCODERS.register(
    "mobilenet_v2",
    Encoder(
        name="mobilenet_v2",
        build=pooled("MobileNetV2"),
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
)
