"""What importing the runtime costs over numpy, Pillow and the interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from edgecap_bench.process import WorkerError
from edgecap_bench.statistics import percentile

__all__ = ["import_cost"]

_BASE = "import numpy, PIL.Image, {interpreter}"
# The backend's module too: `Captioner.load` would import it.
_RUNTIME = "import edgecap_runtime, edgecap_runtime.captioner, edgecap_runtime.backends.{backend}"
_TIMED = (
    "from time import perf_counter as now\n{base}\nbegun = now()\n{runtime}\nprint(now() - begun)"
)
_KINDS = {
    "tflite": ("ai_edge_litert.interpreter", "litert"),
    "onnx": ("onnxruntime", "onnx"),
}
_TIMEOUT_S = 120


def import_cost(
    kind: str,
    repeats: int,
    environment: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure it in fresh processes, with and without the runtime in turn.

    kind: "tflite" or "onnx". Returns milliseconds: `base_ms` and `with_runtime_ms`, medians of
    whole processes; `difference_ms`, the median of the pairs' differences; `inside_ms`, the
    median of the import alone as the process itself times it. Raises `WorkerError` where a
    process fails.
    """
    interpreter, backend = _KINDS[kind]
    base = _BASE.format(interpreter=interpreter)
    timed = _TIMED.format(base=base, runtime=_RUNTIME.format(backend=backend))
    _run(timed, environment)  # brings the files into the system's cache, and writes byte code
    without, whole, inside = [], [], []
    for repeat in range(repeats):
        without.append(_run(base, environment)[0])
        elapsed, said = _run(timed, environment)
        whole.append(elapsed)
        inside.append(float(said) * 1e3)
        if progress is not None:
            progress(repeat + 1, repeats)
    differences = [more - less for more, less in zip(whole, without, strict=True)]
    return {
        "base_ms": percentile(without, 50),
        "with_runtime_ms": percentile(whole, 50),
        "difference_ms": percentile(differences, 50),
        "inside_ms": percentile(inside, 50),
        "repeats": repeats,
    }


def _run(code: str, environment: Mapping[str, str]) -> tuple[float, str]:
    """Run code in a fresh interpreter; give milliseconds and what it printed."""
    begun = perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise WorkerError(f"importing failed: {problem}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WorkerError(f"importing failed: {last}")
    return (perf_counter() - begun) * 1e3, done.stdout.strip()
