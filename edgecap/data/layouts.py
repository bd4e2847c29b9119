"""The registry of dataset layouts: what a reader is, and what it hands over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IMAGE_FOLDERS", "Entry", "Listing", "Reader", "readers", "register_reader"]

IMAGE_FOLDERS = (
    ".",
    "images",
    "Images",
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
)
"""Where images lie, relative to a dataset's directory, in the order in which they are looked for.
"Flicker8k" is how the published archive spells it."""


@dataclass(frozen=True)
class Entry:
    """One image as a layout's files name it, not yet looked for on disk."""

    names: tuple[str, ...]
    """Paths relative to an image folder, tried in order; the first is the image's name."""
    split: str
    """"train", "dev" or "test"."""
    captions: tuple[tuple[str, ...], ...]
    """Its captions as tokens, see `edgecap.data.tokenise`."""


@dataclass(frozen=True)
class Listing:
    """All that a layout's files say."""

    name: str
    """What the dataset is called."""
    entries: tuple[Entry, ...]
    """The images. One image may come several times: its captions are put together."""
    folders: tuple[Path, ...]
    """The image folders to look in, in order."""
    notes: tuple[str, ...] = ()
    """What the reader decided, one sentence each."""


@dataclass(frozen=True)
class Reader:
    """One layout that datasets come in."""

    name: str
    """What it is called, e.g. "flickr8k"."""
    looks_for: str
    """The files by which it knows a directory, for error messages."""
    recognises: Callable[[Path], bool]
    """Says whether a directory has this layout; reads no more than file names."""
    read: Callable[[Path, Path | None], Listing]
    """Reads a directory's files; the second argument is the image folder where the user names
    one. Raises EdgecapError, naming the file, when one is damaged."""


_READERS: dict[str, Reader] = {}


def register_reader(reader: Reader) -> None:
    """Add a layout; directories are offered to the layouts in the order of registration."""
    _READERS[reader.name] = reader


def readers() -> Mapping[str, Reader]:
    """Return the registered layouts by name."""
    return dict(_READERS)
