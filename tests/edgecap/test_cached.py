"""Exported captioners in the user's cache: found again, and not kept for ever."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecap.cached import CachedFile


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def export(run: Path, path: Path, **more: Any) -> Any:
        path.write_bytes(b"exported")
        return SimpleNamespace()

    monkeypatch.setattr("edgecap.exporting.export_run", export)
    return tmp_path / "edgecap" / "captioners"


def older(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))
    return path


def test_those_used_longest_ago_are_deleted(cache: Path) -> None:
    files = [older(cache / f"{place}.tflite", 1000 - place) for place in range(9)]
    note = older(cache / "notes.txt", 9999)
    made = CachedFile.of("nano")
    assert not made.found()
    # The oldest one is used again.
    again = CachedFile(made.run, made.recipe, files[0])
    assert again.found()
    made.make()
    assert made.found()
    left = {path.name for path in cache.iterdir()}
    assert left == {made.path.name, note.name, *(files[place].name for place in (0, *range(3, 9)))}


def test_another_recipe_is_another_file(cache: Path) -> None:
    whole, small = CachedFile.of("nano"), CachedFile.of("nano", "dynamic-int8")
    whole.make()
    assert whole.found()
    assert not small.found()
    assert whole.path.parent == cache
