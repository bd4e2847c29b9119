"""Captions photographs on small devices with the one-file captioners that edgecap exports.

    from edgecap_runtime import Captioner
    captioner = Captioner.load("captioner.tflite", threads=2)
    print(captioner.caption("photo.jpg", beam=3).text)

Needs numpy, Pillow and one interpreter, which is imported when a file is loaded.
"""

from __future__ import annotations

from .captioner import Alternative, Caption, Captioner, Timings
from .check_entry import Machine
from .checking import CheckResult, PictureResult
from .errors import BundleError, EdgecapError, ImageError, MissingExtraError, OptionError

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
