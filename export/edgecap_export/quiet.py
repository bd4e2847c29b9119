"""Keeping converters' chatter from a user without hiding what went wrong."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

__all__ = ["quiet"]

# Lines below the level of an error, as absl, TensorFlow, LiteRT and Python's logging write them.
_CHATTER = re.compile(
    r"\s*$"
    r"|WARNING: All log messages before absl"
    r"|[IW]\d{4}[ :]"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+: [IW] "
    r"|(INFO|WARNING)\b"
    r"|.*\d%\|"  # progress bars of tqdm
)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back informations and warnings of libraries while the block runs.

    C++ code writes past `sys.stderr`, so file descriptor 2 is put aside with it. What was written
    to either is shown after the block: everything if it raised, else all lines but the chatter.
    """
    shown = sys.stderr
    shown.flush()
    disabled = logging.root.manager.disable
    logging.disable(max(disabled, logging.WARNING))
    kept = os.dup(2)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        os.dup2(said.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            said.flush()
            os.dup2(kept, 2)
            os.close(kept)
            logging.disable(disabled)
            said.seek(0)
            for line in said.read().splitlines():
                if failed or not _CHATTER.match(line):
                    print(line, file=shown)
