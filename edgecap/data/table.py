"""A plain table of images and captions: `captions.csv`, `captions.txt` (CSV too) or JSONL.

Columns `image` and `caption`, one caption a row, and optionally `split`. `captions.txt` is the
name under which Flickr8k and Flickr30k circulate as CSV.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgecap.data.files import image_folders, read_text
from edgecap.data.layouts import Entry, Listing, Reader
from edgecap.data.model import split_named
from edgecap.data.tokenise import tokenise
from edgecap_runtime.errors import EdgecapError

__all__ = ["READER"]

_COLUMNS = ("image", "caption")
_TRAIN_SHARE, _DEV_SHARE = 0.8, 0.1

Row = tuple[str, Mapping[str, Any]]
"""Where a row stands (file and line, for errors), and its values by column."""


def _csv_rows(path: Path) -> Iterator[Row]:
    # Strict: a quote that is never closed would otherwise swallow the rows after it in silence.
    reader = csv.DictReader(
        io.StringIO(read_text(path), newline=""), skipinitialspace=True, strict=True
    )
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        _check_header(path, header)
        reader.fieldnames = header
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row:
                raise EdgecapError(
                    f"{where} has more fields than the {len(header)} columns; put captions that "
                    "hold a comma in double quotes."
                )
            yield where, row
    except csv.Error as error:
        raise EdgecapError(f"{path}, line {reader.line_num} is not CSV ({error}).") from error


def _check_header(path: Path, header: list[str]) -> None:
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise EdgecapError(
            f"{path} has no column {' and no column '.join(missing)} (its first line is "
            f"{','.join(header)[:80]!r}); the columns are image, caption and, if wanted, split."
        )


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EdgecapError(f"{where} is not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise EdgecapError(f"{where} is no JSON object with image and caption.")
        yield where, row


_FORMATS = {"captions.csv": _csv_rows, "captions.txt": _csv_rows, "captions.jsonl": _jsonl_rows}


def _files(directory: Path) -> list[Path]:
    return [directory / name for name in _FORMATS if (directory / name).is_file()]


def _recognises(directory: Path) -> bool:
    return bool(_files(directory))


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not (column == "caption" or value.strip()):
        raise EdgecapError(f"{where} has the {column} {value!r}; give a text there.")
    return value.strip()


def _split_by_hash(name: str) -> str:
    """Return a split that depends on nothing but the image's name, 80 / 10 / 10 %."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < _TRAIN_SHARE:
        return "train"
    return "dev" if position < _TRAIN_SHARE + _DEV_SHARE else "test"


def _read(directory: Path, images: Path | None) -> Listing:
    files = _files(directory)
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise EdgecapError(
            f"{directory} should hold one of {', '.join(_FORMATS)} and holds {found}; keep the "
            "one to read."
        )
    path = files[0]
    entries: list[Entry] = []
    has_splits: bool | None = None
    for where, row in _FORMATS[path.name](path):
        if has_splits is None:
            has_splits = "split" in row
        elif has_splits != ("split" in row):
            raise EdgecapError(f"{where}: give every row of the table a split, or none.")
        name = posixpath.normpath(_text(row, "image", where))
        caption = tokenise(_text(row, "caption", where))
        if has_splits:
            split = split_named(_text(row, "split", where), where)
        else:
            split = _split_by_hash(name)
        entries.append(Entry((name,), split, (caption,)))
    notes = (
        f"{path.name} has no split column: images were divided into train, dev and test "
        "(80, 10 and 10 %) by a hash of their names, the same way every time.",
    )
    return Listing(
        name=directory.resolve().name or "table",
        entries=tuple(entries),
        folders=image_folders(directory, images),
        notes=() if has_splits else notes,
    )


READER = Reader(
    name="table",
    looks_for=f"{', '.join(_FORMATS)} with columns image and caption",
    recognises=_recognises,
    read=_read,
)
