"""Fetches pictures in a thread of its own, so that captions never wait behind old ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from ..errors import first_line
from .sources import CameraGoneError

if TYPE_CHECKING:
    from .sources import Frame, Source
    from .stopping import Wakeups

__all__ = ["Pump"]

Say = Callable[[str], None]

_RETRIES_S = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses between attempts to open a camera that has gone; the last repeats."""


class Pump:
    """Keeps the newest pictures of a source, and opens it again whenever it has gone.

    Everything of the source happens in this thread, which is a daemon: a driver that hangs doesn't
    keep the process alive.
    """

    def __init__(
        self,
        source: Source,
        wakeups: Wakeups,
        say: Say,
        backlog: int,
    ) -> None:
        """Take a source that isn't open.

        wakeups: woken when a picture came; say: tells the user a sentence; backlog: pictures
        that are kept.
        """
        self.error: Exception | None = None
        """What ended the thread, if it wasn't `stop`."""
        self._source = source
        self._wakeups = wakeups
        self._say = say
        self._backlog = backlog
        self._waiting: deque[Frame] = deque()
        self._passed_over = 0
        self._lock = Lock()
        self._wanted = Event()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="edgecap-camera", daemon=True)

    def start(self) -> None:
        """Begin to fetch."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False where the source's driver hangs and it goes on."""
        self._stopped.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def take(self) -> Frame | None:
        """Give the oldest picture kept, or None, and then the next one is wanted at once."""
        with self._lock:
            if not self._waiting:
                self._wanted.set()
                return None
            passed_over, self._passed_over = self._passed_over, 0
            frame = self._waiting.popleft()
        return replace(frame, passed_over=frame.passed_over + passed_over)

    def _run(self) -> None:
        try:
            gone = False
            while not self._stopped.is_set():
                self._open(gone)
                self._fetch()
                gone = True
        except Exception as error:  # a fault of a driver or of ours: the main thread must know
            self.error = error
        finally:
            self._source.close()
            self._wakeups.wake()

    def _open(self, gone: bool) -> None:
        """Open the source, however long that takes; tell once of waiting, and once of success.

        gone: whether the user was told already that it isn't there.
        """
        failed = 0
        while not self._stopped.is_set():
            try:
                self._source.open()
            except CameraGoneError as error:
                self._source.close()
                if not gone:
                    gone = True
                    self._say(
                        f"{_capital(self._source.name)} is not there ({first_line(error)}); "
                        "waiting for it."
                    )
                pause = _RETRIES_S[min(failed, len(_RETRIES_S) - 1)]
                failed += 1
                self._stopped.wait(pause)
                continue
            if gone:
                self._say(f"{_capital(self._source.name)} is there again.")
            return

    def _fetch(self) -> None:
        while not self._stopped.is_set():
            wanted = self._wanted.is_set()
            try:
                frame = self._source.next(wanted)
            except CameraGoneError as error:
                self._source.close()
                self._say(
                    f"{_capital(self._source.name)} has gone ({first_line(error)}); waiting for it."
                )
                self._stopped.wait(_RETRIES_S[0])
                return
            if frame is not None:
                self._keep(frame)

    def _keep(self, frame: Frame) -> None:
        with self._lock:
            self._wanted.clear()
            self._waiting.append(frame)
            while len(self._waiting) > self._backlog:
                dropped = self._waiting.popleft()
                self._passed_over += 1 + dropped.passed_over
        self._wakeups.wake()


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:] if name.startswith(("the ", "camera ")) else name
