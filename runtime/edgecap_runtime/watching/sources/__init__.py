"""Where pictures come from, by what `--camera` says.

A source is added by one module with a class like `Source`, and one line in `_SOURCES`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from ...errors import EdgecapError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from ...preparation import Photo

__all__ = ["CameraGoneError", "Frame", "Source", "open_source", "optional_package"]

# Asked in this order; the first that recognises the text takes it.
_SOURCES = (
    "edgecap_runtime.watching.sources.folder:FolderSource",
    "edgecap_runtime.watching.sources.fifo:FifoSource",
    "edgecap_runtime.watching.sources.picamera2:Picamera2Source",
    "edgecap_runtime.watching.sources.opencv:OpenCVSource",
)


class CameraGoneError(EdgecapError):
    """A camera isn't there, or not any more; it may come back."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    photo: Photo
    """The picture: a path, the bytes of an image file or a uint8 array, RGB."""
    name: str | None = None
    """Its path, where it is a file."""
    passed_over: int = 0
    """Pictures between the one before and this that the source let go."""
    taken: float = field(default_factory=time.time)
    """When it came, seconds since 1970."""


class Source(Protocol):
    """One camera, folder or pipe. After it was made all calls come from one thread."""

    name: str
    """What messages call it."""
    every: float
    """Seconds from caption to caption where a user names none; 0 is as fast as they come."""
    backlog: int
    """Pictures that may wait to be captioned; of more, the oldest are let go."""
    silence: float | None
    """Seconds without a picture after which something is wrong; None where that is usual."""

    def open(self) -> None:
        """Open it, once more after `close`; raises `CameraGoneError` where it isn't there."""

    def next(self, wanted: bool) -> Frame | None:
        """Wait a moment for a picture and give it, or None where none came.

        wanted: False where it would not be captioned, so that it need not be decoded; a source
        may give one all the same. Raises `CameraGoneError`.
        """

    def close(self) -> None:
        """Let it go; never raises."""


class _SourceClass(Protocol):
    def __call__(self, camera: str) -> Source: ...

    def recognises(self, camera: str) -> bool: ...


def open_source(camera: str) -> Source:
    """Make the source that `--camera` names, which isn't opened yet.

    Raises `OptionError` where nothing recognises it, `MissingExtraError` where its package isn't
    installed.
    """
    for entry in _SOURCES:
        module, _, name = entry.partition(":")
        kind = cast("_SourceClass", getattr(import_module(module), name))
        if kind.recognises(camera):
            return kind(camera)
    why = "is a file" if os.path.isfile(camera) else "is no folder or FIFO that exists"
    raise OptionError(
        f"--camera is {camera!r}, which {why}; give a camera's number, a folder, a FIFO, "
        "/dev/video0, or a stream's rtsp:// or http:// address."
    )


def optional_package(name: str, how: str) -> ModuleType:
    """Import a camera's package; raises `MissingExtraError` that says how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        if getattr(error, "name", None) == name:
            raise MissingExtraError(f"Unable to find {name}; {how}.") from None
        raise MissingExtraError(
            f"{name} is installed but can't be imported ({error}); {how}."
        ) from None
