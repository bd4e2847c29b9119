"""What was found so far, in a file, so that an interrupted survey goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError

__all__ = ["Record"]


class Record:
    """Files and rows by their names; threads may add to it at the same time.

    A file is told by (captioner, format, recipe): what the export said. A row is told by these and
    the processor: what `judging.judge` found, or "failed" with the reason.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        """Read the file if it is there.

        about: what the figures hold for. Raises `OptionError` where the file's hold for another.
        """
        self._path = path
        self._about = json.loads(json.dumps(about))
        self._lock = threading.Lock()
        self.captioners: dict[str, dict[str, Any]] = {}
        """What is said of each captioner, by name."""
        self.files: list[dict[str, Any]] = []
        """What the exports said."""
        self.rows: list[dict[str, Any]] = []
        """What was found."""
        if not path.is_file():
            return
        found = json.loads(path.read_text("utf-8"))
        for name, value in self._about.items():
            if found["about"].get(name) != value:
                raise OptionError(
                    f"--work {str(path.parent)!r} holds results of other {name}; give another "
                    "folder, or delete it"
                )
        self.captioners, self.files, self.rows = (
            found[name] for name in ("captioners", "files", "rows")
        )

    def file(self, **key: str) -> dict[str, Any] | None:
        """Return what the export of a file said; None where there was none."""
        return _found(self.files, key)

    def row(self, **key: str) -> dict[str, Any] | None:
        """Return what was found; None where nothing was, or where it failed."""
        row = _found(self.rows, key)
        return None if row is None or "failed" in row else row

    def keep_captioner(self, name: str, about: Mapping[str, Any]) -> None:
        """Add what is said of a captioner."""
        with self._lock:
            self.captioners[name] = dict(about)
            self._write()

    def keep_file(self, key: Mapping[str, str], found: Mapping[str, Any]) -> None:
        """Add what an export said, in the place of what it said before."""
        self._keep(self.files, key, found)

    def keep_row(self, key: Mapping[str, str], found: Mapping[str, Any]) -> None:
        """Add a row, in the place of an earlier one."""
        self._keep(self.rows, key, found)

    def _keep(
        self, items: list[dict[str, Any]], key: Mapping[str, str], found: Mapping[str, Any]
    ) -> None:
        with self._lock:
            before = _found(items, key)
            if before is not None:
                items.remove(before)
            items.append({**key, **found})
            self._write()

    def _write(self) -> None:
        content = {
            "about": self._about,
            "captioners": self.captioners,
            "files": self.files,
            "rows": self.rows,
        }
        with replacing(self._path) as stream:
            stream.write(json.dumps(content, indent=1).encode())


def _found(items: list[dict[str, Any]], key: Mapping[str, str]) -> dict[str, Any] | None:
    for item in items:
        if all(item[name] == value for name, value in key.items()):
            return item
    return None
