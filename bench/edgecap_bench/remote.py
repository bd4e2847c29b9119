"""Measuring a report's files on another machine by ssh; it needs `edgecap-runtime` there alone."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecap_bench.merging import Recording, recorded
from edgecap_runtime.errors import EdgecapError

__all__ = ["measure_remotely"]

_FOLDER = ".cache/edgecap-bench"
_TIMEOUT_S = 3600


def measure_remotely(
    host: str,
    report: Mapping[str, Any],
    out: Path,
    threads: Sequence[int] | None,
    progress: Callable[[int, int], None],
) -> Recording:
    """Copy the files of a report to a host, time each there, and give what it says.

    Args:
        host: as ssh takes it, "user@host".
        report: names the files that were exported.
        out: where they are.
        threads: numbers of threads to time with; None for the host's own choice.
        progress: called with (done, total).

    Raises:
        EdgecapError: the host can't be reached, or has no `edgecap-runtime`.
    """
    names = {
        file["name"]: out / file["name"]
        for row in report["rows"]
        if not row["floor_of"]
        for file in row["files"]
    }
    files = [path for path in names.values() if path.suffix in (".tflite", ".onnx")]
    files = [path for path in files if path.is_file()]
    if not files:
        raise EdgecapError("There is no exported file to measure on another machine.")
    jobs = [(file, count) for file in files for count in threads or (None,)]
    _run(host, ["ssh", host, f"mkdir -p {_FOLDER}"])
    machines: dict[str, Mapping[str, Any]] = {}
    rows: list[Mapping[str, Any]] = []
    copied: set[Path] = set()
    for done, (file, count) in enumerate(jobs):
        progress(done, len(jobs))
        if file not in copied:
            _run(host, ["scp", "-q", str(file), f"{host}:{_FOLDER}/{file.name}"])
            copied.add(file)
        words = ["edgecap-runtime", "bench", f"{_FOLDER}/{file.name}", "--json"]
        words += [] if count is None else ["--threads", str(count)]
        said = _run(host, ["ssh", host, shlex.join(words)])
        try:
            found = recorded(json.loads(said), None, host)
        except ValueError:
            raise EdgecapError(
                f"{host}: edgecap-runtime bench answered no JSON ({said[:60]!r}); upgrade "
                "edgecap-runtime there."
            ) from None
        machines.update(found.machines)
        rows += found.rows
    progress(len(jobs), len(jobs))
    return Recording(machines, rows)


def _run(host: str, command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise EdgecapError(
            f"Unable to find {command[0]}, which --remote needs; install OpenSSH's client."
        ) from None
    except subprocess.TimeoutExpired:
        raise EdgecapError(f"{host} gave no answer within {_TIMEOUT_S} s.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EdgecapError(
            f"{host}: {shlex.join(command)} failed ({last}); see that ssh reaches it without a "
            "question and that edgecap-runtime is installed there."
        )
    return done.stdout
