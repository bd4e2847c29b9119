"""Reading the text files that datasets are described in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecap.data.layouts import IMAGE_FOLDERS
from edgecap_runtime.errors import EdgecapError

__all__ = ["image_folders", "read_json", "read_text"]


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text, without a byte order mark.

    Raises:
        EdgecapError: it can't be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EdgecapError(f"Unable to read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise EdgecapError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        EdgecapError: it can't be read, is not JSON, or is JSON but no object.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise EdgecapError(
            f"{path} is not JSON or is cut short ({error}); get the file again."
        ) from error
    if not isinstance(content, dict):
        raise EdgecapError(
            f"{path} holds a JSON {type(content).__name__} where an object is expected."
        )
    return content


def image_folders(directory: Path, images: Path | None) -> tuple[Path, ...]:
    """Return the folders to look for images in: `images` alone, or the usual ones that exist."""
    if images is not None:
        return (images,)
    folders = [directory / name for name in IMAGE_FOLDERS]
    return tuple(folder for folder in folders if folder.is_dir())
