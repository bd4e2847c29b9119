from __future__ import annotations

from pathlib import Path

import pytest

from edgecap_runtime.errors import ImageError
from edgecap_runtime.photos import PHOTO_SUFFIXES, photographs_in


def test_photographs_come_in_alphabetical_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp.part", "Z.tiff"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "folder.jpg" / "inside.jpg").write_bytes(b"")
    expected = [str(tmp_path / name) for name in ("Z.tiff", "a.png", "b.JPG")]
    assert photographs_in(tmp_path) == expected
    assert photographs_in(str(tmp_path)) == expected


def test_a_folder_without_photographs_says_how_they_end(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photograph")
    with pytest.raises(ImageError, match="holds no photograph") as refused:
        photographs_in(tmp_path)
    assert all(suffix in str(refused.value) for suffix in PHOTO_SUFFIXES)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"")
    for path in (photo, tmp_path / "gone"):
        with pytest.raises(ImageError, match=f"Unable to read the folder {path}"):
            photographs_in(path)
