"""What is known of the machine, so that a figure can be repeated or doubted."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import edgecap_bench

__all__ = ["cpu_model", "describe_machine", "disturbance", "file_facts", "load_now"]

_PACKAGES = (
    *("edgecap", "edgecap-runtime", "numpy", "pillow", "ai-edge-litert", "tflite-runtime"),
    *("onnxruntime", "tensorflow", "keras", "ai-edge-quantizer", "tf2onnx", "onnx", "nltk"),
)
_FLAGS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "amx_tile", "amx_int8", "neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)
_STEAL = 7
"""Place of the stolen time among the counters of /proc/stat (proc_stat(5))."""


def describe_machine() -> dict[str, Any]:
    """Give processor, cores, memory, system, versions and, in a checkout, the commit."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_allowed": _allowed_cores(),
        "flags": _flags(),
        "memory_mb": _memory_mb(),
        "architecture": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
    }


def load_now() -> dict[str, Any]:
    """Give the load averages and the processor's time counters of this moment."""
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    return {"load_average": load, "cpu_ticks": _ticks()}


def disturbance(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two `load_now`: load averages, and the share of time that a hypervisor took away."""
    stolen = None
    first, last = before["cpu_ticks"], after["cpu_ticks"]
    if first and last and len(first) > _STEAL and sum(last) > sum(first):
        stolen = 100 * (last[_STEAL] - first[_STEAL]) / (sum(last) - sum(first))
    return {
        "load_before": before["load_average"],
        "load_after": after["load_average"],
        "steal_percent": stolen,
    }


def file_facts(path: Path) -> dict[str, Any]:
    """Give a file's name, size in bytes and SHA-256."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def cpu_model() -> str:
    """Give the processor's name."""
    for key in ("model name", "Model", "Hardware"):
        value = _cpuinfo().get(key)
        if value:
            return value
    return platform.processor() or platform.machine()


def _cpuinfo() -> dict[str, str]:
    lines: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            lines.setdefault(key.strip(), value.strip())
    return lines


def _flags() -> list[str]:
    known = _cpuinfo()
    present = (known.get("flags") or known.get("Features") or "").split()
    return [flag for flag in _FLAGS if flag in present]


def _allowed_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, OSError, ValueError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _ticks() -> list[int] | None:
    try:
        first = Path("/proc/stat").read_text("ascii").splitlines()[0].split()
        # Up to the stolen time: guest time, after it, is a part of user time already.
        return [int(value) for value in first[1 : _STEAL + 2]]
    except (OSError, ValueError, IndexError):
        return None


def _commit() -> str | None:
    package = Path(edgecap_bench.__file__).parent
    top = _git(package, "rev-parse", "--show-toplevel")
    # An installed package may lie inside a checkout of something else.
    if top is None or Path(top) / "bench" / "edgecap_bench" != package.resolve():
        return None
    commit = _git(package, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    return f"{commit} with changes" if _git(package, "status", "--porcelain") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
