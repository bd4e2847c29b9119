"""What the machine is, so that a figure can be repeated or doubted."""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe_machine", "integer_products"]

_PACKAGES = (
    *("edgecap-runtime", "numpy", "pillow", "ai-edge-litert", "tflite-runtime", "onnxruntime"),
)
# What speeds captions up, in the kernel's names for x86 and arm64.
_FLAGS = (
    *("avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)

# Instructions for int8 products, by the kernel's names; x86-64 without them saturates in 16 bits.
_PRODUCTS = {
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX",
    "asimddp": "dot product",
    "i8mm": "I8MM",
}
_X86 = ("x86_64", "amd64", "i386", "i686")


def integer_products(flags: Sequence[str], architecture: str) -> str:
    """Return the instructions for int8 products that a processor has, for people.

    flags: as `describe_machine` has them; none of them says nothing.
    """
    found = ", ".join(name for flag, name in _PRODUCTS.items() if flag in flags)
    if not found and flags and architecture.lower() in _X86:
        return "neither AVX512-VNNI nor AVX-VNNI"
    return found


def describe_machine(root: Path = Path("/")) -> dict[str, Any]:
    """Give model, processor, cores, memory, system and versions; what is unknown is None.

    root: where `proc`, `sys` and `etc` are, for tests.
    """
    processor = _processor(root)
    return {
        "model": _model(root, processor),
        "cpu": _first(processor, "model name", "Hardware") or platform.machine(),
        "cores": os.cpu_count(),
        "cores_allowed": _allowed(),
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "flags": _flags(processor),
        "memory_mb": _memory_mb(root),
        "architecture": platform.machine(),
        "python_bits": struct.calcsize("P") * 8,
        "os": _os_name(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def _model(root: Path, processor: dict[str, str]) -> str | None:
    """Give the board's name, as a Pi has it; elsewhere the processor's."""
    return _text(root / "proc/device-tree/model") or _first(processor, "Model", "model name")


def _processor(root: Path) -> dict[str, str]:
    lines: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        lines.setdefault(key.strip(), value.strip())
    return lines


def _first(lines: dict[str, str], *keys: str) -> str | None:
    return next((lines[key] for key in keys if lines.get(key)), None)


def _flags(processor: dict[str, str]) -> list[str]:
    present = (_first(processor, "flags", "Features") or "").split()
    return [flag for flag in _FLAGS if flag in present]


def _allowed() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_mb(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            with suppress(ValueError, IndexError):
                return int(line.split()[1]) * 1024 // 1_000_000
    return None


def _os_name(root: Path) -> str:
    for line in (_text(root / "etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip().strip('"')
    return platform.platform()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _text(path: Path) -> str | None:
    try:
        # The device tree's strings end with a zero byte.
        return path.read_text("utf-8", "replace").strip("\0 \n") or None
    except OSError:
        return None
