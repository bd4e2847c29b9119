"""Load and caption by a file in a process of its own, and see how that ends."""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

SAME, REFUSED, OTHER = "same", "refused", "other words or score"
TRACEBACK, SIGNAL, TIME, MEMORY = "traceback", "signal", "time", "memory"
OUTCOMES = (SAME, REFUSED, OTHER, TRACEBACK, SIGNAL, TIME, MEMORY)

SECONDS = 10
"""An attempt that takes longer is stopped."""
MEGABYTES = 2048
"""Address space that an attempt may take beyond what its process begins with."""

_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "onnxruntime")


@dataclass(frozen=True)
class Attempt:
    """How one attempt ended."""

    number: int
    """Which mutation it was."""
    outcome: str
    """One of `OUTCOMES`."""
    detail: str
    """What was said: the sentence, the exception or the signal."""
    seconds: float
    """How long it took, the process included."""
    peak_mb: float
    """The process's largest resident memory, what it began with included."""
    answer: Any = None
    """The ids and the log-probability, where there was a caption."""


def prepare_parent() -> None:
    """Import all that attempts need; no model is loaded, for sessions do not survive a fork."""
    import_module("edgecap_runtime.captioner")
    for name in _INTERPRETERS:
        with suppress(ImportError):
            import_module(name)


def attempts(
    work: Iterable[tuple[int, bytes]], folder: Path, photo: bytes, expected: Any, jobs: int
) -> Iterator[Attempt]:
    """Yield how each (number, file's bytes) ends, in the order in which they end.

    folder: where files are written for a moment; expected: the answer that counts as the same.
    """
    waiting = iter(work)
    selector = selectors.DefaultSelector()
    running: dict[int, tuple[int, int, float]] = {}  # descriptor: number, process, begin
    try:
        while True:
            while len(running) < jobs and (item := next(waiting, None)) is not None:
                number, content = item
                descriptor, process = _start(content, folder / f"{number}.bin", photo)
                running[descriptor] = number, process, time.monotonic()
                selector.register(descriptor, selectors.EVENT_READ)
            if not running:
                return
            ended = {key.fd for key, _ in selector.select(timeout=0.5)}
            now = time.monotonic()
            for descriptor, (number, process, begun) in [*running.items()]:
                late = now - begun > SECONDS
                if descriptor not in ended and not late:
                    continue
                if late:
                    os.kill(process, signal.SIGKILL)
                selector.unregister(descriptor)
                del running[descriptor]
                yield _finished(number, process, descriptor, begun, late, expected)
                (folder / f"{number}.bin").unlink(missing_ok=True)
    finally:
        for descriptor, (_, process, _) in running.items():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(descriptor)


def _start(content: bytes, path: Path, photo: bytes) -> tuple[int, int]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process:
        os.close(writing)
        return reading, process
    status = 1
    try:
        os.close(reading)
        path.write_bytes(content)
        _limit_memory()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # ONNX Runtime prints to both
        os.dup2(nowhere, 2)
        answer = json.dumps(_guarded(lambda: _caption(path, photo))).encode()
        # One write, so that the parent reads all of it at once (a pipe takes 64 KB).
        os.write(writing, answer[:60_000])
        status = 0
    finally:
        os._exit(status)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _caption(path: Path, photo: bytes) -> Any:
    from edgecap_runtime import Captioner

    with Captioner.load(path, threads=1) as captioner:
        caption = captioner.caption(photo)
    return [list(caption.ids), caption.log_probability.hex()]


def _guarded(run: Callable[[], Any]) -> dict[str, Any]:
    from edgecap_runtime.errors import EdgecapError

    try:
        return {"answer": run()}
    except EdgecapError as error:
        outcome = TRACEBACK if "\n" in str(error) else REFUSED
        return {"outcome": outcome, "detail": str(error)[:500]}
    except MemoryError as error:
        return {"outcome": MEMORY, "detail": repr(error)[:500]}
    except BaseException as error:
        return {"outcome": TRACEBACK, "detail": repr(error)[:500]}


def _finished(
    number: int, process: int, descriptor: int, begun: float, late: bool, expected: Any
) -> Attempt:
    said = b""
    if not late:
        said = os.read(descriptor, 1 << 16)
    os.close(descriptor)
    _, status, usage = os.wait4(process, 0)
    seconds, peak = time.monotonic() - begun, usage.ru_maxrss / 1000
    if late:
        return Attempt(number, TIME, f"stopped after {SECONDS} s", seconds, peak)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Attempt(number, SIGNAL, name, seconds, peak)
    if not said:
        return Attempt(number, TRACEBACK, f"exit status {os.WEXITSTATUS(status)}", seconds, peak)
    told = json.loads(said)
    if "answer" in told:
        outcome = SAME if told["answer"] == expected else OTHER
        return Attempt(number, outcome, str(told["answer"]), seconds, peak, told["answer"])
    return Attempt(number, told["outcome"], told["detail"], seconds, peak)
