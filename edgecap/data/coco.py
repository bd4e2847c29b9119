"""COCO's caption files, `captions_train2017.json` and `captions_val2017.json`, or another year's.

Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (2015). Each file
is one split: `images[]` with `id` and `file_name`, `annotations[]` with `image_id` and `caption`.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgecap.data.files import image_folders, read_json
from edgecap.data.layouts import Entry, Listing, Reader
from edgecap.data.model import split_named
from edgecap.data.tokenise import tokenise
from edgecap_runtime.errors import EdgecapError

__all__ = ["READER"]

_TEXT_FOLDERS = (".", "annotations")
_FILE_NAME = re.compile(r"captions_(?P<folder>(?P<split>train|val|test)(?P<year>\d*))\.json")


def _files(directory: Path) -> dict[Path, re.Match[str]]:
    for folder in _TEXT_FOLDERS:
        paths = sorted((directory / folder).glob("captions_*.json"))
        found = {path: match for path in paths if (match := _FILE_NAME.fullmatch(path.name))}
        if found:
            return found
    return {}


def _recognises(directory: Path) -> bool:
    return bool(_files(directory))


def _entries(path: Path, split: str, folder: str) -> list[Entry]:
    content = read_json(path)
    captions: dict[int, list[tuple[str, ...]]] = {}
    try:
        for annotation in content["annotations"]:
            captions.setdefault(annotation["image_id"], []).append(tokenise(annotation["caption"]))
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise EdgecapError(
            f"{path} is not as expected ({type(error).__name__}: {error}); it needs images with "
            "id and file_name, and annotations with image_id and caption."
        ) from error
    unknown = captions.keys() - images.keys()
    if unknown:
        raise EdgecapError(
            f"{path} has captions of images that it does not list ({len(unknown)}, for example "
            f"image_id {min(unknown, key=str)}); get the file again."
        )
    return [
        Entry((f"{folder}/{name}", name), split, tuple(captions.get(identity, ())))
        for identity, name in images.items()
    ]


def _read(directory: Path, images: Path | None) -> Listing:
    files = _files(directory)
    if not files:
        raise EdgecapError(
            f"{directory} has no captions_train*.json or captions_val*.json, neither there nor in "
            f"{_TEXT_FOLDERS[1]}."
        )
    # 2014 and 2017 divide the same photographs differently, under other file names.
    years = sorted({match["year"] for match in files.values()})
    if len(years) > 1:
        raise EdgecapError(
            f"{directory} holds caption files of several years ({', '.join(years)}), which share "
            "photographs; keep one year's."
        )
    entries: list[Entry] = []
    for path, match in files.items():
        split = split_named(match["split"], str(path))
        entries.extend(_entries(path, split, match["folder"]))
    # The directory may be `annotations` itself, whose images lie beside it.
    folders = image_folders(directory, images)
    if images is None and directory.resolve().name == _TEXT_FOLDERS[1]:
        folders += image_folders(directory.resolve().parent, None)
    return Listing(f"coco{years[0]}", tuple(entries), folders)


READER = Reader(
    name="coco",
    looks_for="captions_train2017.json or captions_val2017.json (COCO)",
    recognises=_recognises,
    read=_read,
)
