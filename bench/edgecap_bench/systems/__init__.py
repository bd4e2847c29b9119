"""The evidence table: every encoder with every decoder in every format, from data to device."""

from __future__ import annotations

__all__: list[str] = []
