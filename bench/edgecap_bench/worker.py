"""A target's own process: loads it once and captions photographs when asked.

Requests come as JSON objects, a line each, on standard input: {"do": "start", "target":
"module:Class", "arguments": {...}}, {"do": "caption", "photo": path, "beam": 1}, {"do": "memory"},
{"do": "saturate", "photos": [path, ...]} and {"do": "quit"}. Each is answered by a line {"answer":
{...}} or {"error": "..."} on standard output. `bench/bare.py --serve` speaks the same.

Imports the standard library alone, so that a target's memory is its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from time import perf_counter
from typing import IO, Any, Protocol

from edgecap_bench.sample import Sample

__all__ = ["WorkerTarget", "peak_memory_mb", "serve"]


class WorkerTarget(Protocol):
    """What a target does inside its process; made from the plan's `arguments`."""

    kind: str
    """How it says a word, known after the load: by a "step", or from the whole "prefix".

    A target that may search inside the file has `searched` too, "inside" or "outside".
    """

    def bring_in(self) -> None:
        """Import what the target needs; timed as the import."""
        ...

    def load(self) -> None:
        """Load the model; timed as the load."""
        ...

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file.

        A target that can caption many at once has `batch(photos)` too, which says how; one of a
        file that checks itself has `check()`, which returns `passed`, `largest` and `tolerance`.
        """
        ...


def peak_memory_mb() -> float:
    """Give the largest resident memory of this program so far, MB (10^6 bytes).

    On Linux from the kernel's VmHWM: `ru_maxrss` of a child also counts what its parent held when
    it started the child. Elsewhere `ru_maxrss`.
    """
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def serve(requests: IO[str], replies: IO[str], actions: dict[str, Callable[..., Any]]) -> None:
    """Answer requests by the action of their name until they end or one says quit."""
    for line in requests:
        request = json.loads(line)
        name = request.pop("do")
        if name == "quit":
            return
        try:
            reply = {"answer": actions[name](**request)}
        except Exception as error:  # whatever a target raises is its row's text
            reply = {"error": str(error) if _speaks(error) else f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def own_streams() -> tuple[IO[str], IO[str]]:
    """Give streams for requests and replies, and send what libraries print to the error stream."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return requests, replies


class _Worker:
    def __init__(self) -> None:
        self._target: WorkerTarget | None = None

    def start(self, target: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make the target and load it."""
        begun = perf_counter()
        module, _, name = target.partition(":")
        made: WorkerTarget = getattr(import_module(module), name)(**arguments)
        made.bring_in()
        imported = perf_counter()
        made.load()
        loaded = perf_counter()
        self._target = made
        return {
            "import_ms": (imported - begun) * 1e3,
            "load_ms": (loaded - imported) * 1e3,
            "kind": made.kind,
            "searched": getattr(made, "searched", "outside"),
        }

    def caption(self, photo: str, beam: int = 1) -> dict[str, Any]:
        """Caption a photograph."""
        if self._target is None:
            raise RuntimeError("the worker was asked to caption before it was started")
        return asdict(self._target.caption(photo, beam))

    def saturate(self, photos: Sequence[str]) -> dict[str, Any]:
        """Caption many as fast as the target can; seconds are None where it can't."""
        batch = getattr(self._target, "batch", None)
        if batch is None:
            return {"seconds": None, "how": None}
        batch(photos[:2])  # whatever is made once
        begun = perf_counter()
        how = batch(photos)
        return {"seconds": perf_counter() - begun, "how": how}

    def memory(self) -> dict[str, Any]:
        """Return the peak memory so far, then what the file's check of itself says."""
        peak = peak_memory_mb()
        check = getattr(self._target, "check", None)
        return {"peak_mb": peak, "check": None if check is None else check()}


def _speaks(error: Exception) -> bool:
    # Not by isinstance: the worker itself imports nothing of edgecap.
    return any(base.__name__ == "EdgecapError" for base in type(error).__mro__)


def main() -> None:
    """Serve until the requests end."""
    worker = _Worker()
    serve(
        *own_streams(),
        {
            "start": worker.start,
            "caption": worker.caption,
            "memory": worker.memory,
            "saturate": worker.saturate,
        },
    )


if __name__ == "__main__":
    main()
