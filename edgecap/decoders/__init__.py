"""Caption decoders: a feature vector and the words so far to the next word, by name.

A new decoder is one module here that calls `DECODERS.register`, and one line at the end of this
file that imports it.
"""

from __future__ import annotations

from edgecap.decoders.registry import DECODERS, Decoder

__all__ = ["DECODERS", "Decoder"]

from edgecap.decoders import attention as _attention  # noqa: F401  (registers itself)
from edgecap.decoders import lstm as _lstm  # noqa: F401  (registers itself)
from edgecap.decoders import merge as _merge  # noqa: F401  (registers itself)
