"""Writes lines whatever the disk says: a full one costs lines, never the captions after them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..errors import EdgecapError

__all__ = ["FileLines", "Lines", "StreamLines"]

Say = Callable[[str], None]

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EAGAIN}
"""What a disk may recover from, so that it is no reason to refuse to start."""


class Lines:
    """Writes lines; says once that it can't, and once that it can again."""

    def __init__(self, name: str, say: Say) -> None:
        """Name what is written to, for messages that `say` tells."""
        self.lost = 0
        """Lines that weren't written."""
        self._name = name
        self._say = say
        self._missing = 0

    def write(self, line: str) -> None:
        """Write a line; raises `BrokenPipeError` where the reader has gone, else nothing."""
        try:
            self._put(line.encode() + b"\n")
        except BrokenPipeError:
            raise
        except OSError as error:
            self.lost += 1
            self._missing += 1
            if self._missing == 1:
                self._say(
                    f"Unable to write {self._name} ({error.strerror or error}); captions go on, "
                    "and are written again once that is possible."
                )
            return
        if self._missing:
            self._say(f"{self._name} is written again; {self._missing} lines are missing in it.")
            self._missing = 0

    def _put(self, line: bytes) -> None:
        raise NotImplementedError


class FileLines(Lines):
    """Appends to a file, opened for each line: it may be moved away or deleted at any time."""

    def __init__(self, path: str, say: Say) -> None:
        """Check the path: raises `EdgecapError` where writing to it can never work."""
        super().__init__(path, say)
        self._path = path
        try:
            with self._opened():
                pass
        except OSError as error:
            if error.errno not in _PASSING:
                raise EdgecapError(
                    f"Unable to write {path} ({error.strerror}); choose a file in a folder that "
                    "exists and is yours to write to."
                ) from None

    def _put(self, line: bytes) -> None:
        """Append a whole line or, to a regular file, nothing."""
        with self._opened() as file:
            facts = os.fstat(file)
            regular = stat.S_ISREG(facts.st_mode)
            if regular and facts.st_size:
                os.lseek(file, facts.st_size - 1, os.SEEK_SET)
                if os.read(file, 1) != b"\n":
                    # What a power cut left of a line stands alone, and doesn't spoil this one.
                    line = b"\n" + line
            try:
                _write(file, line)
            except OSError:
                if regular:
                    with suppress(OSError):
                        os.ftruncate(file, facts.st_size)
                raise

    @contextmanager
    def _opened(self) -> Iterator[int]:
        # Readable too, to see whether the line before is whole.
        how = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.open(self._path, how, 0o644)
        try:
            yield file
        finally:
            os.close(file)


class StreamLines(Lines):
    """Writes to a descriptor that is open, as standard output is, and perhaps not ours alone."""

    def __init__(self, name: str, file: int, say: Say) -> None:
        """Take the descriptor."""
        super().__init__(name, say)
        self._file = file
        self._torn = False

    def _put(self, line: bytes) -> None:
        """Write a line, after the end of one that a full disk cut."""
        if self._torn:
            _write(self._file, b"\n")
            self._torn = False
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        finally:
            self._torn = 0 < written < len(line)


def _write(file: int, line: bytes) -> None:
    written = 0
    while written < len(line):
        written += os.write(file, line[written:])
