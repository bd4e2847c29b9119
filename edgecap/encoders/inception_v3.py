"""Inception V3 (Szegedy et al. 2015, arXiv:1512.00567), global average of its last feature map."""

from __future__ import annotations

from edgecap.encoders.applications import pooled
from edgecap.encoders.registry import ENCODERS, Encoder

ENCODERS.register(
    "inception_v3",
    Encoder(
        name="inception_v3",
        build=pooled("InceptionV3", has_width=False),
        default_size=299,
        least_size=75,
        widths=(1.0, 1.0),
        imagenet_widths=(1.0,),
    ),
)
