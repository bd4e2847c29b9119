"""Waiting that a signal ends at once."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = ["Stop", "Wakeups", "stopped_by_signals"]

_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


class Wakeups:
    """Lets one thread sleep until another, or a signal's handler, wakes it.

    A `SimpleQueue` underneath, for its `put` may interrupt its own `get`; a handler that set a
    `threading.Event` could wait for ever for a lock that the code it interrupted holds.
    """

    def __init__(self) -> None:
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """Wake the sleeper, or let its next sleep end at once."""
        self._tokens.put(None)

    def sleep(self, seconds: float) -> None:
        """Sleep until woken, at most this long."""
        with suppress(queue.Empty):
            self._tokens.get(timeout=max(0.0, seconds))
            while True:
                self._tokens.get_nowait()


class Stop:
    """Tells the loop to end."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        self._wanted = False

    def __call__(self) -> None:
        """End it; may be called by a signal's handler."""
        self._wanted = True
        self._wakeups.wake()

    def __bool__(self) -> bool:
        return self._wanted


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP stop the loop; a second one has its usual effect.

    Only the main thread may do so; in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop()

    for name in _SIGNALS:
        number = getattr(signal, name, None)
        # Whoever started us with a signal ignored (nohup) keeps it so.
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
