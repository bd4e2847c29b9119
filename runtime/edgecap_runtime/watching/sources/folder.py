"""Photographs that fall into a folder."""

from __future__ import annotations

import os
import time
from collections import deque

from ...photos import PHOTO_SUFFIXES
from . import CameraGoneError, Frame

__all__ = ["FolderSource"]

_LOOK_S = 0.4
"""Seconds between two looks; a file that is the same in both is complete."""

_State = tuple[int, int]


class FolderSource:
    """Gives each photograph once that comes into a folder, or is written anew, oldest first.

    What is there at the start is left alone; so are hidden files and those of other kinds.
    """

    every = 0.0
    backlog = 16
    silence = None

    def __init__(self, camera: str) -> None:
        self.name = f"the folder {camera}"
        self._folder = camera
        self._known: dict[str, _State] | None = None
        self._growing: dict[str, _State] = {}
        self._ready: deque[str] = deque()
        self._looked = 0.0

    @classmethod
    def recognises(cls, camera: str) -> bool:
        """Tell whether it is a folder."""
        return os.path.isdir(camera)

    def open(self) -> None:
        """Note what is there; after an absence what is new since then counts as new."""
        present = self._look()
        if self._known is None:
            self._known = present
        self._growing.clear()

    def next(self, wanted: bool) -> Frame | None:
        """Give the oldest photograph that is complete and wasn't given yet."""
        if not self._ready:
            pause = self._looked + _LOOK_S - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._find()
        if not self._ready:
            return None
        path = self._ready.popleft()
        return Frame(path, path)

    def close(self) -> None:
        """Forget what waits; what was given stays known."""
        self._ready.clear()

    def _find(self) -> None:
        known = self._known if self._known is not None else {}
        present = self._look()
        changed = {name: state for name, state in present.items() if known.get(name) != state}
        complete = [name for name, state in changed.items() if self._growing.get(name) == state]
        for name in sorted(complete, key=lambda name: (present[name][1], name)):
            known[name] = present[name]
            self._ready.append(os.path.join(self._folder, name))
        self._growing = {name: state for name, state in changed.items() if name not in complete}
        self._known = {name: state for name, state in known.items() if name in present}

    def _look(self) -> dict[str, _State]:
        """Give size and time (nanoseconds) of the folder's photographs by name."""
        self._looked = time.monotonic()
        found: dict[str, _State] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.name.lower().endswith(
                        PHOTO_SUFFIXES
                    ):
                        continue
                    try:
                        facts = entry.stat()
                    except FileNotFoundError:  # gone since it was listed
                        continue
                    if facts.st_size and not entry.is_dir():
                        found[entry.name] = (facts.st_size, facts.st_mtime_ns)
        except OSError as error:
            raise CameraGoneError(f"it can't be read: {error.strerror}") from None
        return found
