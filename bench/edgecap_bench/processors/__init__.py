"""The same files on many processors: what each says against Keras and the exporting machine."""

from __future__ import annotations

__all__: list[str] = []
