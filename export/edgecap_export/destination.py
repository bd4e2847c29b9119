"""Where a file is to be written: checked before the work begins, reached in one step at its end."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecap_runtime.errors import EdgecapError

__all__ = ["folder_beside", "writing"]


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what goes wrong on the disk into one sentence, an `EdgecapError`."""
    try:
        yield
    except OSError as problem:
        raise EdgecapError(
            f"Unable to write {str(target)!r} ({problem.strerror or problem}); choose a folder "
            "that exists, is yours to write to and has space left."
        ) from problem


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a folder for the work on a file, and take it away.

    It is beside the target: a rename within one file system is all or nothing. Raises
    `EdgecapError` where the target can't be written.
    """
    with writing(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        beside = tempfile.TemporaryDirectory(
            prefix=f".{target.name}.", suffix=".partial", dir=target.parent
        )
    with beside as folder:
        yield Path(folder)
