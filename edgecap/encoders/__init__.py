"""Image encoders: pixels to one feature vector, by name.

A new encoder is one module here that calls `ENCODERS.register`, and one line at the end of this
file that imports it.
"""

from __future__ import annotations

from edgecap.encoders.registry import ENCODERS, Encoder, EncoderOptions

__all__ = ["ENCODERS", "Encoder", "EncoderOptions"]

from edgecap.encoders import mobilenet as _mobilenet  # noqa: F401  (registers itself)
