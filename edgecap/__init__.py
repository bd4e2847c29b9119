"""edgecap: train, quantize and export image captioners for small devices."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
