"""Captions photographs on small devices with the one-file captioners that edgecap exports.

    from edgecap_runtime import Captioner
    captioner = Captioner.load("captioner.tflite", threads=2)
    print(captioner.caption("photo.jpg", beam=3).text)

Needs numpy, Pillow and one interpreter, which is imported when a file is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .captioner import Alternative, Caption, Captioner, Timings
from .errors import BundleError, EdgecapError, ImageError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from .check_entry import Machine
    from .checking import CheckResult, PictureResult

__all__ = [
    "Alternative",
    "BundleError",
    "Caption",
    "Captioner",
    "CheckResult",
    "EdgecapError",
    "ImageError",
    "Machine",
    "MissingExtraError",
    "OptionError",
    "PictureResult",
    "Timings",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # What `Captioner.check` returns is imported when it is asked for: captions don't need it.
    if name in ("CheckResult", "Machine", "PictureResult"):
        from . import checking

        return getattr(checking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
