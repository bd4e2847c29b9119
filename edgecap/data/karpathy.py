"""The JSON of Karpathy and Fei-Fei, "Deep Visual-Semantic Alignments" (CVPR 2015).

`dataset_flickr8k.json`, `dataset_flickr30k.json` and `dataset_coco.json` hold
`images[]`, each with `filename`, `split`, `sentences[].tokens` and, for COCO, `filepath`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecap.data.files import image_folders, read_json
from edgecap.data.layouts import Entry, Listing, Reader
from edgecap.data.model import split_named
from edgecap.data.tokenise import clean_tokens, tokenise
from edgecap_runtime.errors import EdgecapError

__all__ = ["READER"]


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("dataset_*.json") if path.is_file())


def _recognises(directory: Path) -> bool:
    return bool(_files(directory))


def _caption(sentence: dict[str, Any]) -> tuple[str, ...]:
    if isinstance(sentence.get("tokens"), list):
        return clean_tokens(sentence["tokens"])
    return tokenise(sentence["raw"])


def _entry(image: dict[str, Any], where: str) -> Entry:
    try:
        filename, folder = str(image["filename"]), image.get("filepath", "")
        captions = tuple(_caption(sentence) for sentence in image["sentences"])
        split = image["split"]
        # COCO's images lie in FILEPATH/FILENAME as published, but also all in one folder.
        names = (f"{folder}/{filename}", filename) if folder else (filename,)
    except (KeyError, TypeError, AttributeError) as error:
        raise EdgecapError(
            f"{where} is not as expected ({type(error).__name__}: {error}); an image needs "
            "filename, split and sentences, each sentence with tokens or raw."
        ) from error
    return Entry(names, split_named(str(split), where), captions)


def _read(directory: Path, images: Path | None) -> Listing:
    files = _files(directory)
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise EdgecapError(
            f"{directory} should hold one dataset_*.json and holds {found}; keep the one to read."
        )
    path = files[0]
    listed = read_json(path).get("images")
    if not isinstance(listed, list):
        raise EdgecapError(f"{path} has no list 'images'; a Karpathy-style dataset has one.")
    entries = tuple(_entry(image, f"{path}, image {number}") for number, image in enumerate(listed))
    return Listing(path.stem.removeprefix("dataset_"), entries, image_folders(directory, images))


READER = Reader(
    name="karpathy",
    looks_for="dataset_*.json (Karpathy's splits)",
    recognises=_recognises,
    read=_read,
)
