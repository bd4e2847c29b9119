"""Image encoders: pixels to one feature vector, by name.

A new encoder is one module here that calls `ENCODERS.register`, and one line at the end of this
file that imports it.
"""

from __future__ import annotations

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions

__all__ = ["ENCODERS", "Encoder", "EncoderOptions"]

from edgecap.encoders import inception_v3 as _inception_v3  # noqa: F401  (registers itself)
from edgecap.encoders import mobilenet as _mobilenet  # noqa: F401
from edgecap.encoders import mobilenet_v2 as _mobilenet_v2  # noqa: F401
from edgecap.encoders import mobilenet_v3_large as _mobilenet_v3_large  # noqa: F401
from edgecap.encoders import mobilenet_v3_small as _mobilenet_v3_small  # noqa: F401
