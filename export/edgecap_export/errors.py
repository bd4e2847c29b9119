"""What goes wrong in an export, each in one sentence for a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecap_runtime.errors import EdgecapError

if TYPE_CHECKING:
    from edgecap_export.parity import Parity

__all__ = ["ExportError", "ParityError"]


class ExportError(EdgecapError):
    """A captioner can't be converted, or the written file is not what its recipe says."""


class ParityError(EdgecapError):
    """The exported file says something else than the Keras model; no file was left."""

    def __init__(self, message: str, parity: Parity) -> None:
        super().__init__(message)
        self.parity = parity
        """The whole comparison, the images that differ included."""
