"""Processors that this machine hasn't: emulated by qemu, or its own with features hidden."""

from __future__ import annotations

__all__: list[str] = []
