"""What preparing a camera's photographs costs, and what it changes."""

from __future__ import annotations

__all__: list[str] = []
