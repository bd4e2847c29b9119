"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import EdgecapError

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file beside `path` for writing and move it to `path` when all went well.

    Whatever stood at `path` stays untouched until then, and after any error. Raises
    `EdgecapError` for a full disk, a missing folder or a lack of permission.
    """
    target = Path(path)
    beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        try:
            with beside.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, target)
        except OSError as error:
            raise EdgecapError(
                f"Unable to write {target} ({error.strerror or error}); choose a folder that "
                "exists, is yours to write to and has space left."
            ) from None
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
