"""The latency benchmark: `edgecap bench`, or `python bench/latency.py` in a checkout."""

from __future__ import annotations

__all__: list[str] = []
