"""JPEGs one after the other through a named pipe, as `rpicam-vid --codec mjpeg` writes them."""

from __future__ import annotations

import os
import re
import select
import stat
import time

from . import CameraGoneError, Frame

__all__ = ["FifoSource", "JpegSplitter"]

_CHUNK = 1 << 20
_WAIT_S = 0.25
_LARGEST = 64 << 20

_START = b"\xff\xd8\xff"
_SCAN, _END = 0xDA, 0xD9
_BARE = {0x01, *range(0xD0, 0xD8)}
_SOI = 0xD8
_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


class FifoSource:
    """Gives the newest complete JPEG that came through a FIFO; writers may come and go."""

    every = 1.0
    backlog = 1
    silence = None

    def __init__(self, camera: str) -> None:
        self.name = f"the FIFO {camera}"
        self._path = camera
        self._pipe: int | None = None
        self._splitter = JpegSplitter()

    @classmethod
    def recognises(cls, camera: str) -> bool:
        """Tell whether it is a FIFO."""
        try:
            return stat.S_ISFIFO(os.stat(camera).st_mode)
        except (OSError, ValueError):
            return False

    def open(self) -> None:
        """Open it, whether a writer is there or not."""
        if not self.recognises(self._path):
            raise CameraGoneError("there is no such FIFO")
        try:
            self._pipe = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise CameraGoneError(f"it can't be read: {error.strerror}") from None
        self._splitter = JpegSplitter()

    def next(self, wanted: bool) -> Frame | None:
        """Give the last JPEG that what can be read now completes."""
        if self._pipe is None:
            raise RuntimeError("next() was called before open()")
        ready, _, _ = select.select([self._pipe], [], [], _WAIT_S)
        if not ready:
            return None
        try:
            read = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise CameraGoneError(f"it can't be read: {error.strerror}") from None
        if not read:
            # No writer. What it left incomplete stays so, for the next one begins anew.
            self._splitter = JpegSplitter()
            self._require_same()
            time.sleep(_WAIT_S)
            return None
        complete = self._splitter.feed(read)
        return Frame(complete[-1], passed_over=len(complete) - 1) if complete else None

    def close(self) -> None:
        """Close it."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _require_same(self) -> None:
        try:
            same = self._pipe is not None and os.path.samestat(
                os.fstat(self._pipe), os.stat(self._path)
            )
        except OSError:
            same = False
        if not same:
            raise CameraGoneError("it was removed")


class JpegSplitter:
    """Cuts a stream of bytes into JPEG files; what lies between two of them is dropped.

    It walks the marker segments (ITU-T T.81, annex B), so that a thumbnail inside a file doesn't
    end it.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._place = 0
        """Where the walk goes on: at a marker, or inside a scan."""
        self._scanning = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take more of the stream; gives the files that are complete now, oldest first."""
        self._held += data
        complete: list[bytes] = []
        while True:
            if not self._place and not self._find_start():
                return complete
            end = self._walk()
            if end is None:
                if len(self._held) > _LARGEST:
                    self._restart(len(_START))
                    continue
                return complete
            if end:
                complete.append(bytes(self._held[:end]))
            # After a broken segment (end 0) the search goes on behind this start.
            self._restart(end or len(_START))

    def _find_start(self) -> bool:
        found = self._held.find(_START)
        if found < 0:
            # A start may be cut in two.
            del self._held[: max(0, len(self._held) - len(_START) + 1)]
            return False
        del self._held[:found]
        self._place = 2
        return True

    def _restart(self, place: int) -> None:
        del self._held[:place]
        self._place, self._scanning = 0, False

    def _walk(self) -> int | None:
        """Give where the file ends, 0 where it is broken, None where more is needed."""
        held = self._held
        while True:
            if self._scanning:
                found = _AFTER_SCAN.search(held, self._place)
                if found is None:
                    self._place = max(self._place, len(held) - 1)
                    return None
                self._place, self._scanning = found.end() - 2, False
            if len(held) < self._place + 4:
                # The end marker needs no length behind it.
                ended = held[self._place : self._place + 2] == bytes((0xFF, _END))
                return self._place + 2 if ended else None
            marker = held[self._place + 1]
            # A start inside a file: the rest of the one before was lost.
            if held[self._place] != 0xFF or marker == _SOI:
                return 0
            if marker == 0xFF:
                self._place += 1
            elif marker == _END:
                return self._place + 2
            elif marker in _BARE:
                self._place += 2
            else:
                length = int.from_bytes(held[self._place + 2 : self._place + 4], "big")
                if length < 2:
                    return 0
                if len(held) < self._place + 2 + length:
                    return None
                self._place += 2 + length
                self._scanning = marker == _SCAN
