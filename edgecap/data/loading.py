"""From a directory to a `Dataset`: choose the reader, find the images, check the splits."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from edgecap.data import coco, flickr8k, karpathy, table
from edgecap.data.layouts import Listing, Reader, readers, register_reader
from edgecap.data.model import SPLITS, Dataset, Photo, Problem
from edgecap_runtime.errors import EdgecapError, OptionError

__all__ = ["load_dataset"]

for _reader in (flickr8k.READER, karpathy.READER, coco.READER, table.READER):
    register_reader(_reader)

Progress = Callable[[int, int], None]


def load_dataset(
    directory: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    layout: str | None = None,
    check_images: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Read a directory of photographs with captions.

    Images that are missing or empty, and images without a caption, are left out and named in
    `Dataset.problems`; a split with no image at all is one problem, not one for each image.

    Args:
        directory: holds the dataset's files in one of the layouts of `edgecap.data.readers()`.
        images: the folder with the images, when it is not in a place usual for the layout.
        layout: the layout's name; without it the first layout that recognises the directory.
        check_images: decode every image too, and treat one that fails as missing ones.
        progress: called with (images done, images in all) while images are checked.

    Raises:
        OptionError: a path is no directory, or the layout is unknown.
        EdgecapError: no layout fits, a data file is damaged, no image was found, or two splits
            share an image.
    """
    directory = _existing_directory(directory, "dataset directory")
    image_folder = None if images is None else _existing_directory(images, "image folder")
    reader, notes = _choose_reader(directory, layout)
    listing = reader.read(directory, image_folder)
    photos, problems, dropped = _find_photos(listing)
    if check_images:
        photos, unreadable = _decodable(photos, progress)
        problems += unreadable
    if not photos:
        raise EdgecapError(_nothing_usable(directory, listing, problems))
    notes += listing.notes
    if dropped:
        notes += (f"Captions without a word in them, which were dropped: {dropped}.",)
    by_split = {
        split: tuple(photo for of_split, _, photo in photos if of_split == split)
        for split in SPLITS
    }
    return Dataset(
        name=listing.name,
        photos={split: chosen for split, chosen in by_split.items() if chosen},
        problems=tuple(problems),
        notes=notes,
    )


def _existing_directory(path: str | os.PathLike[str], what: str) -> Path:
    found = Path(path).expanduser()
    if not found.is_dir():
        state = "is a file" if found.exists() else "does not exist"
        raise OptionError(f"The {what} {found} {state}; name a directory.")
    return found


def _choose_reader(directory: Path, layout: str | None) -> tuple[Reader, tuple[str, ...]]:
    known = readers()
    if layout is not None:
        if layout not in known:
            raise OptionError(f"Unknown dataset layout {layout!r}; use one of {', '.join(known)}.")
        return known[layout], ()
    fitting = [reader for reader in known.values() if reader.recognises(directory)]
    if not fitting:
        raise EdgecapError(
            f"{directory} holds no dataset that edgecap knows; it looks for "
            f"{'; or '.join(reader.looks_for for reader in known.values())}."
        )
    first, *others = fitting
    if not others:
        return first, ()
    names = ", ".join(reader.name for reader in others)
    return first, (f"Read in the layout {first.name}; the directory could be read as {names} too.",)


Placed = list[tuple[str, str, Photo]]
"""Photographs, each after its split and its name in the data files."""


def _find_photos(listing: Listing) -> tuple[Placed, list[Problem], int]:
    """Return the usable photographs, the problems, and how many captions had no word.

    Raises:
        EdgecapError: two splits share an image, be it by name or by file.
    """
    captions_of: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    names_of: dict[tuple[str, str], tuple[str, ...]] = {}
    for entry in listing.entries:
        key = (entry.split, entry.names[0])
        captions_of.setdefault(key, []).extend(entry.captions)
        names_of.setdefault(key, entry.names)

    photos: Placed = []
    missing: dict[str, list[Problem]] = {}
    unusable: list[Problem] = []
    identities: list[tuple[str, str, str]] = []
    dropped = 0
    for (split, name), all_captions in captions_of.items():
        captions = tuple(caption for caption in all_captions if caption)
        dropped += len(all_captions) - len(captions)
        path = _locate(names_of[split, name], listing.folders)
        identities.append((split, name, name))
        if path is None:
            missing.setdefault(split, []).append(Problem(name, "there is no such image file"))
            continue
        identities.append((split, name, os.path.realpath(path)))
        if path.stat().st_size == 0:
            unusable.append(Problem(name, "the image file is empty (0 bytes)"))
        elif not captions:
            unusable.append(Problem(name, "it has no caption"))
        else:
            photos.append((split, name, Photo(path, captions)))
    _refuse_shared_images(identities)

    sizes = Counter(split for split, _ in captions_of)
    problems: list[Problem] = []
    for split, absent in missing.items():
        if 1 < len(absent) == sizes[split]:
            where = ", ".join(map(str, listing.folders)) or "any usual folder"
            reason = f"none of the split's {len(absent)} images was found in {where}"
            problems.append(Problem(split, reason))
        else:
            problems.extend(absent)
    return photos, problems + unusable, dropped


def _locate(names: Iterable[str], folders: Sequence[Path]) -> Path | None:
    for name in names:
        for folder in folders:
            path = folder / name
            # A name with a null character in it or one too long is no file.
            with contextlib.suppress(OSError, ValueError):
                if path.is_file():
                    return path
    return None


def _refuse_shared_images(identities: Iterable[tuple[str, str, str]]) -> None:
    """Raise when one identity (a name or a real path) occurs in two splits.

    Args:
        identities: (split, image name, identity) of every image.
    """
    split_of: dict[str, str] = {}
    shared: dict[str, tuple[str, str]] = {}
    for split, name, identity in identities:
        first = split_of.setdefault(identity, split)
        if first != split:
            shared.setdefault(name, (first, split))
    if shared:
        example, (first, second) = next(iter(shared.items()))
        raise EdgecapError(
            f"The splits share {len(shared)} image{'s' * (len(shared) > 1)}, for example "
            f"{example} in {first} and {second}; give each image one split, or scores will "
            "flatter the captioner."
        )


def _decodable(photos: Placed, progress: Progress | None) -> tuple[Placed, list[Problem]]:
    """Return the photographs whose image decodes, and the others as problems."""
    good: Placed = []
    problems: list[Problem] = []
    for done, (split, name, photo) in enumerate(photos, start=1):
        reason = _decoding_error(photo.path)
        if reason is None:
            good.append((split, name, photo))
        else:
            problems.append(Problem(name, reason))
        if progress is not None:
            progress(done, len(photos))
    return good, problems


def _decoding_error(path: Path) -> str | None:
    """Return why an image can't be decoded, or None when it can."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            # PIL's verify() reads no pixel of a JPEG and so passes one that is cut short; decoding
            # at an eighth of the size reads the whole file and costs a fraction of a full decode.
            image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except UnidentifiedImageError:
        return "it is no image that Pillow knows"
    # Pillow's decoders raise many kinds of error on damaged files, SyntaxError among them.
    except Exception as error:
        return f"it can't be decoded ({error})"
    return None


def _nothing_usable(directory: Path, listing: Listing, problems: Sequence[Problem]) -> str:
    if not listing.entries:
        return f"The {listing.name} files in {directory} name no image."
    example = f"{problems[0].name}: {problems[0].reason}"
    return (
        f"None of the {len(listing.entries)} images that the {listing.name} files in {directory} "
        f"name can be used ({example}); name the folder with the images."
    )
