"""How much memory this process has used."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["peak_resident_mb", "resident_mb"]


def peak_resident_mb() -> float | None:
    """Give the largest resident memory so far, MB (10 ** 6 bytes); None where nothing says it.

    Linux's VmHWM before `getrusage`: the latter's ru_maxrss begins with what the parent held when
    it started this process, which in a large parent hides all that is smaller.
    """
    known = _status("VmHWM")
    if known is not None:
        return known
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere (getrusage(2)).
    return largest / 1e6 if sys.platform == "darwin" else largest * 1024 / 1e6


def resident_mb() -> float | None:
    """Give the resident memory of now, MB; None where nothing says it."""
    return _status("VmRSS")


def _status(name: str) -> float | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None
