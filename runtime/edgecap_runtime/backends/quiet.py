"""Keeps the chatter of native code off the standard error stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

__all__ = ["quiet_stderr"]

_lock = Lock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 nowhere; Python's exceptions still come.

    LiteRT prints "Created TensorFlow Lite XNNPACK delegate for CPU" when an interpreter is made,
    and no option of its Python package turns that off. The descriptor is the process's, so this
    wraps loading alone, never inference.
    """
    with _lock:
        with suppress(Exception):
            sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # no standard error stream: nothing to keep quiet
            saved = None
        if saved is None:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
