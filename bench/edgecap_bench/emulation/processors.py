"""The processors on which this machine can run Python with the runtime, by name."""

from __future__ import annotations

import os
import platform
import shutil
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import edgecap_runtime
from edgecap_bench.emulation.mask import masked, no_mask
from edgecap_bench.emulation.programs import APT, QEMU_X86_64
from edgecap_bench.emulation.systems import SYSTEMS, Pi

__all__ = ["NATIVE", "PROCESSORS", "Processor", "quickest"]

_RUNTIME = Path(edgecap_runtime.__file__).parents[1]


class Processor(Protocol):
    """A processor with a Python that has the runtime and its interpreters."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def title(self) -> str:
        """What a table calls it."""

    @property
    def how(self) -> str:
        """How its programs run: "native", "masked", "emulated" or "browser"."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The kinds of files that it can run."""

    def missing(self) -> str | None:
        """Return why it can't be had here; None if it can."""

    def python(self, *words: object) -> list[str]:
        """Return the command that runs its Python with these words."""

    def environment(self) -> dict[str, str]:
        """Return the whole environment of such a command."""


_BOTH = (".tflite", ".onnx")


@dataclass(frozen=True)
class _Native:
    """This machine as it is."""

    name: str = "native"
    title: str = "native"
    how: str = "native"
    formats: tuple[str, ...] = _BOTH

    def missing(self) -> str | None:
        """Return None: this machine is always there."""
        return None

    def python(self, *words: object) -> list[str]:
        """Return the command: the interpreter itself, not a virtual environment's link to it."""
        return [os.path.realpath(sys.executable), *(str(word) for word in words)]

    def environment(self) -> dict[str, str]:
        """Return the environment: the packages of this Python's own."""
        packages = [str(_RUNTIME), *site.getsitepackages()]
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", os.sep),
            "PYTHONPATH": os.pathsep.join(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@dataclass(frozen=True)
class _Masked(_Native):
    """This machine with features of its processor hidden."""

    cpu: str = ""
    """A key of `mask.MASKS`."""

    def missing(self) -> str | None:
        """Return why the features can't be hidden; None if they can."""
        return no_mask(self.cpu)

    def environment(self) -> dict[str, str]:
        """Return the environment that hides them."""
        return super().environment() | masked(self.cpu)


@dataclass(frozen=True)
class _QemuX86(_Native):
    """An x86-64 processor that qemu plays, for this machine's own x86-64 Python."""

    cpu: str = ""
    """qemu's name of it."""

    def missing(self) -> str | None:
        """Return what it takes; None if all is here."""
        if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
            return "needs Linux on an x86-64 processor, whose Python it runs"
        if shutil.which(QEMU_X86_64) is None:
            return f"needs {APT[QEMU_X86_64]} (apt-get install)"
        return None

    def python(self, *words: object) -> list[str]:
        """Return the command."""
        return [QEMU_X86_64, "-cpu", self.cpu, *super().python(*words)]


@dataclass(frozen=True)
class _Board:
    """A Raspberry Pi that qemu plays."""

    name: str
    title: str
    pi: Pi
    how: str = "emulated"
    formats: tuple[str, ...] = _BOTH

    def missing(self) -> str | None:
        """Return what it takes; None if all is here."""
        system = self.pi.system
        if shutil.which(system.qemu) is None:
            return f"needs {APT[system.qemu]} (apt-get install)"
        if not all((system.folder / part).exists() for part in ("root", "site", self.pi.core)):
            return "needs its Debian root: python tests/devices/prepare.py --systems"
        return None

    def python(self, *words: object) -> list[str]:
        """Return the command."""
        return self.pi.python(*words)

    def environment(self) -> dict[str, str]:
        """Return the environment: the system's wheels, and the runtime of this checkout."""
        return self.pi.environment(_RUNTIME)


def _masked(cpu: str, features: str) -> _Masked:
    return _Masked(f"masked-{cpu.lower()}", f"{cpu} ({features}), masked", "masked", cpu=cpu)


def _qemu(cpu: str, features: str) -> _QemuX86:
    return _QemuX86(cpu.lower(), f"{cpu} ({features}), emulated", "emulated", cpu=cpu)


def _board(core: str, board: str) -> _Board:
    title = f"Cortex-{core[len('cortex-') :].upper()} ({board}), emulated"
    return _Board(core, title, Pi(next(iter(SYSTEMS)), core))


NATIVE: Processor = _Native()
"""This machine as it is."""

PROCESSORS: dict[str, Processor] = {
    processor.name: processor
    for processor in (
        NATIVE,
        _masked("AVX-VNNI", "AVX2 with VNNI"),
        _masked("Haswell", "AVX2"),
        _masked("Nehalem", "SSE4.2"),
        _qemu("Haswell", "AVX2"),
        _qemu("Nehalem", "SSE4.2"),
        _board("cortex-a53", "Raspberry Pi Zero 2"),
        _board("cortex-a72", "Raspberry Pi 4"),
        _board("cortex-a76", "Raspberry Pi 5"),
    )
}
"""By name. qemu knows no AVX-512 and no VNNI: those take a machine that has them."""


def quickest(cpu: str) -> Processor:
    """Return the quickest way here to run programs on an x86-64 processor of `MASKS`.

    Hidden features cost nothing, qemu a factor of 20 and more. What it returns may be `missing`.
    """
    masked = PROCESSORS[f"masked-{cpu.lower()}"]
    return PROCESSORS.get(cpu.lower(), masked) if masked.missing() else masked
