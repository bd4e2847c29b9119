"""The benchmark's end of a worker process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["WorkerError", "WorkerProcess", "thread_settings"]

_SHOWN = 300


class WorkerError(Exception):
    """A worker failed or died; the text is for its row in the table."""


def thread_settings(threads: int) -> dict[str, str]:
    """Give the environment in which every target runs: the same threads for every library.

    And byte code is kept, whatever this process was told: an installed package has it, and a cold
    start without would time Python's compiler.
    """
    count = str(threads)
    names = ("OMP", "OPENBLAS", "MKL")
    return {
        **{f"{name}_NUM_THREADS": count for name in names},
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow's own default; set, since edgecap's commands turn it off for themselves.
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONDONTWRITEBYTECODE": "",
    }


class WorkerProcess:
    """A process that answers one JSON line for each that it gets."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, timeout_s: float
    ) -> None:
        """Start it.

        command: program and arguments; environment: added to this process's own; log: the file
        for what it prints; timeout_s: longest wait for an answer, then it is killed. Raises
        `WorkerError` where it can't be started.
        """
        self._timeout_s = timeout_s
        self._log = log
        self._late = False
        try:
            with log.open("wb") as stream:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    env={**os.environ, **environment},
                    text=True,
                    encoding="utf-8",
                    # An interrupt is for the benchmark, which ends its workers itself.
                    start_new_session=True,
                )
        except OSError as problem:
            raise WorkerError(f"its process can't be started ({problem})") from None

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; raises `WorkerError`."""
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise WorkerError("the worker has no pipes")
        timer = threading.Timer(self._timeout_s, self._kill_late)
        timer.start()
        try:
            requests.write(json.dumps({"do": do, **request}) + "\n")
            requests.flush()
            line = replies.readline()
            reply = json.loads(line) if line else None
        except (OSError, ValueError):
            # A broken pipe, or half a line: it died, and `_death` says how.
            reply = None
        finally:
            timer.cancel()
        if not isinstance(reply, dict):
            raise WorkerError(self._death())
        if "error" in reply:
            raise WorkerError(str(reply["error"])[:_SHOWN])
        answer: dict[str, Any] = reply["answer"]
        return answer

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process: it sees the end of its requests, and is killed if it stays."""
        _close(self._process.stdin)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _close(self._process.stdout)

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def _death(self) -> str:
        if self._late:
            return f"no answer within {self._timeout_s:g} s, so it was ended"
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "the process closed its pipe without an answer"
        if status < 0:
            try:
                how = f"by {signal.Signals(-status).name}"
            except ValueError:
                how = f"by signal {-status}"
        else:
            how = f"with exit status {status}"
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        last = f": {lines[-1].strip()[:_SHOWN]}" if lines else ""
        return f"the process ended {how}{last}"


def _close(stream: IO[str] | None) -> None:
    # Closing flushes, and the other end of the pipe may be gone.
    with suppress(OSError):
        if stream is not None:
            stream.close()
