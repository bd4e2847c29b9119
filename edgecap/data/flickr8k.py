"""The Flickr8k text layout: Flickr8k.token.txt and the lists of the three splits.

Hodosh, Young and Hockenmaier, "Framing Image Description as a Ranking Task: Data, Models and
Evaluation Metrics", JAIR 47 (2013). The captions come tokenised in the Treebank manner.
"""

from __future__ import annotations

from pathlib import Path

from edgecap.data.files import image_folders, read_text
from edgecap.data.layouts import Entry, Listing, Reader
from edgecap.data.tokenise import clean_tokens
from edgecap_runtime.errors import EdgecapError

__all__ = ["READER"]

_TEXT_FOLDERS = (".", "text", "Flickr8k_text")
_TOKEN_FILE = "Flickr8k.token.txt"
_SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}


def _text_folder(directory: Path) -> Path | None:
    for name in _TEXT_FOLDERS:
        folder = directory / name
        if (folder / _TOKEN_FILE).is_file() and any(
            (folder / file).is_file() for file in _SPLIT_FILES.values()
        ):
            return folder
    return None


def _recognises(directory: Path) -> bool:
    return _text_folder(directory) is not None


def _read_captions(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return the captions of each image from lines "NAME.jpg#NUMBER<tab>tokens"."""
    captions: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        image, mark, _ = key.rpartition("#")
        if not tab or not mark:
            raise EdgecapError(
                f"{path}, line {number}: expected IMAGE#NUMBER, a tab and a caption, "
                f"found {line[:60]!r}."
            )
        captions.setdefault(image, []).append(clean_tokens(text.split()))
    return captions


def _read(directory: Path, images: Path | None) -> Listing:
    folder = _text_folder(directory)
    if folder is None:
        raise EdgecapError(
            f"{directory} has no {_TOKEN_FILE} with split lists beside it, neither there nor in "
            f"{' or '.join(_TEXT_FOLDERS[1:])}."
        )
    captions = _read_captions(folder / _TOKEN_FILE)
    entries: list[Entry] = []
    listed: set[str] = set()
    for split, file in _SPLIT_FILES.items():
        if not (folder / file).is_file():
            continue
        names = [line.strip() for line in read_text(folder / file).split("\n") if line.strip()]
        # An image listed twice in one split would have its captions twice.
        for name in dict.fromkeys(names):
            entries.append(Entry((name,), split, tuple(captions.get(name, ()))))
        listed.update(names)
    unlisted = [name for name in captions if name not in listed]
    notes = [
        f"Images of {_TOKEN_FILE} that belong to no split and are left out: {len(unlisted)}, "
        f"for example {example}."
        for example in unlisted[:1]
    ]
    folders = image_folders(directory, images)
    return Listing("flickr8k", tuple(entries), folders, tuple(notes))


READER = Reader(
    name="flickr8k",
    looks_for=f"{_TOKEN_FILE} and Flickr_8k.trainImages.txt (Flickr8k)",
    recognises=_recognises,
    read=_read,
)
