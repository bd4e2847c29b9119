"""MobileNet V1 (Howard et al. 2017, arXiv:1704.04861), global average of its last feature map."""

from __future__ import annotations

from edgecap.encoders.applications import pooled
from edgecap.encoders.registry import ENCODERS, Encoder

ENCODERS.register(
    "mobilenet",
    Encoder(
        name="mobilenet",
        build=pooled("MobileNet"),
        default_size=224,
        least_size=32,
        widths=(0.1, 2.0),
        imagenet_widths=(0.25, 0.5, 0.75, 1.0),
        # docs/quantization.md has what int8 does to them.
        delicate_blocks=("conv1", "conv_dw_1"),
        narrow_delicate_blocks=("conv_pw_1", "conv_dw_2"),
    ),
)
