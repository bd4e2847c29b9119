"""What a dataset of captioned photographs is, once it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecap_runtime.errors import EdgecapError, OptionError

__all__ = ["SPLITS", "Dataset", "Photo", "Problem", "split_named"]

SPLITS = ("train", "dev", "test")
"""The split names of a `Dataset`, in the order in which they are shown."""

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}


def split_named(name: str, where: str) -> str:
    """Return the split ("train", "dev" or "test") that `name` stands for.

    "val" and "validation" are dev; "restval", the part of COCO's validation images that Karpathy
    and Fei-Fei (CVPR 2015) trained on, is train. Case and surrounding space do not matter.

    Args:
        name: the name as the data file spells it.
        where: the file (and line) that it stands in, for the error.

    Raises:
        EdgecapError: the name is none of these.
    """
    try:
        return _SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise EdgecapError(
            f"{where} names the split {name!r}; use one of {', '.join(_SPLIT_NAMES)}."
        ) from None


@dataclass(frozen=True)
class Photo:
    """One photograph and its captions."""

    path: Path
    """The image file."""
    captions: tuple[tuple[str, ...], ...]
    """Its captions, each a tuple of lower-case tokens without punctuation; at least one."""


@dataclass(frozen=True)
class Problem:
    """Something that the data files name and that could not be used."""

    name: str
    """The image as the data files name it, or the split when none of its images is there."""
    reason: str
    """What is wrong with it, as the end of the sentence "NAME: ..."."""


@dataclass(frozen=True)
class Dataset:
    """Photographs with captions, in splits which share no image."""

    name: str
    """What the dataset is called, e.g. "flickr8k"."""
    photos: Mapping[str, tuple[Photo, ...]]
    """The photographs of each split that has any, in the order of the data files."""
    problems: tuple[Problem, ...] = ()
    """Every image that is missing, unreadable or without a caption, by name."""
    notes: tuple[str, ...] = ()
    """What was decided while reading, e.g. how the splits were made; one sentence each."""

    def split(self, name: str) -> tuple[Photo, ...]:
        """Return the photographs of one split ("val" and "validation" mean dev).

        Raises:
            OptionError: the dataset has no such split; the message lists those it has.
        """
        canonical = _SPLIT_NAMES.get(name.strip().lower(), name)
        if canonical not in self.photos:
            raise OptionError(
                f"The dataset {self.name!r} has no split {name!r} with photographs; "
                f"use one of {', '.join(self.photos)}."
            )
        return self.photos[canonical]
