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

__all__ = ["cpu_model", "describe_machine", "disturbance", "file_facts", "load_now",
           "processor_flags"]  # fmt: skip

_PACKAGES = (
    *("edgecap", "edgecap-runtime", "numpy", "pillow", "ai-edge-litert", "tflite-runtime"),
    *("onnxruntime", "tensorflow", "keras", "litert-quantizer", "tf2onnx", "onnx", "nltk"),
)
_FLAGS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "amx_tile", "amx_int8", "neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)
_CPU = "/sys/devices/system/cpu/cpu0"
_BUSY = 0.3
"""Load average a core from which on the machine counts as busy."""
_OTHERS = 0.1
"""Share of the processors from which on others' work disturbs."""
_STOLEN_PERCENT = 2.0
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
    """Give what of the processor changes: load, time counters, clock, heat and throttling."""
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    return {
        "load_average": load,
        "cpu_ticks": _ticks(),
        "frequency_mhz": _frequency_mhz(),
        "temperature_c": _temperature_c(),
        "throttled": _throttled(),
    }


def disturbance(
    before: Mapping[str, Any], after: Mapping[str, Any], others_share: float = 0.0
) -> dict[str, Any]:
    """Compare two `load_now`, and say whether the figures between them are to be trusted.

    others_share: of the processors, what other programs took while targets were timed, 0 to 1.
    """
    stolen = None
    first, last = before["cpu_ticks"], after["cpu_ticks"]
    if first and last and len(first) > _STEAL and sum(last) > sum(first):
        stolen = 100 * (last[_STEAL] - first[_STEAL]) / (sum(last) - sum(first))
    why = []
    if before["load_average"] and before["load_average"][0] > _BUSY * (os.cpu_count() or 1):
        why.append(f"the machine was busy before (load {before['load_average'][0]:.1f})")
    if others_share > _OTHERS:
        why.append(f"other programs took {others_share:.0%} of the processors meanwhile")
    if stolen is not None and stolen > _STOLEN_PERCENT:
        why.append(f"a hypervisor took {stolen:.1f} % of the processors' time away")
    if before["throttled"] != after["throttled"] and after["throttled"] is not None:
        why.append(f"the processor was throttled ({after['throttled']})")
    return {
        "load_before": before["load_average"],
        "load_after": after["load_average"],
        "steal_percent": stolen,
        "others_percent": 100 * others_share,
        **{
            f"{name}_{when}": facts[name]
            for name in ("frequency_mhz", "temperature_c", "throttled")
            for when, facts in (("before", before), ("after", after))
        },
        "disturbed": bool(why),
        "why": why,
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


def processor_flags() -> frozenset[str]:
    """Return the features that /proc/cpuinfo names; none where it can't be read."""
    known = _cpuinfo()
    return frozenset((known.get("flags") or known.get("Features") or "").split())


def _flags() -> list[str]:
    present = processor_flags()
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


def _frequency_mhz() -> float | None:
    """Give the first core's clock."""
    with suppress(OSError, ValueError):
        return int(Path(f"{_CPU}/cpufreq/scaling_cur_freq").read_text("ascii")) / 1e3
    with suppress(ValueError):
        return float(_cpuinfo()["cpu MHz"]) if "cpu MHz" in _cpuinfo() else None
    return None


def _temperature_c() -> float | None:
    """Give the hottest of the machine's thermal zones."""
    found = []
    for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            found.append(int(zone.read_text("ascii")) / 1e3)
    return max(found, default=None)


def _throttled() -> str | None:
    """Give the Pi's flags, or how often an x86 core was throttled; None where neither is told."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5, check=False
        )
        if done.returncode == 0:
            return done.stdout.strip()
    with suppress(OSError):
        times = Path(f"{_CPU}/thermal_throttle/core_throttle_count").read_text("ascii").strip()
        return f"{times} times since the start"
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
