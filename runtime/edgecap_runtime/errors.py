"""The errors that edgecap raises on purpose; the message of each is one sentence for a user."""

from __future__ import annotations

__all__ = [
    "BundleError",
    "EdgecapError",
    "ImageError",
    "MissingExtraError",
    "OptionError",
    "first_line",
]


class EdgecapError(Exception):
    """Base of all errors that edgecap raises on purpose; its text is ONE sentence."""


class BundleError(EdgecapError):
    """A file is no captioner, is truncated, contradicts itself or has a version that is too new."""


class ImageError(EdgecapError):
    """A photograph is missing, empty, broken, too large or no image at all."""


class OptionError(EdgecapError):
    """An option has a value that is not legal; the text names the value and what is legal."""


class MissingExtraError(EdgecapError):
    """An optional package is not installed; the text names the command that installs it."""


def first_line(error: BaseException) -> str:
    """Give a library's complaint, often many lines, as a clause for one of our sentences."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
