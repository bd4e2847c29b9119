"""A Raspberry Pi without one: Debian's ARM programs under qemu, pinned to the Pi's cores.

`roots` makes what this runs.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BOARDS", "CHECKOUT", "FOLDER", "SYSTEMS", "Board", "Pi", "System"]

CHECKOUT = Path(__file__).parents[3]
"""The checkout that this file is in."""
FOLDER = CHECKOUT / ".devices"
"""Where the systems are made."""


@dataclass(frozen=True)
class System:
    """A Raspberry Pi OS, by the Debian release that it is made from, with an interpreter on it."""

    name: str
    """What it is called here; its folder."""
    suite: str
    """Debian's name of the release."""
    python: str
    """The Python in it."""
    debian: str
    """Debian's name of its processors."""
    machine: str
    """What `uname -m` prints."""
    qemu: str
    """The program that plays such a processor."""
    packages: tuple[str, ...]
    """Debian's packages in it."""
    wheels: tuple[str, ...]
    """The packages that pip installs; the last has the interpreter of .tflite files."""
    platforms: tuple[str, ...]
    """Which wheels pip takes."""
    files: tuple[str, ...]
    """The captioners that it runs, by their recipes first; the one to take there first."""
    full_run_only: bool = False
    """Whether the quick run leaves it out."""

    @property
    def folder(self) -> Path:
        """Where `roots` makes it."""
        return FOLDER / self.name

    @property
    def root(self) -> Path:
        """Debian's files."""
        return self.folder / "root"


def _current(suite: str, python: str, **more: Any) -> System:
    return System(
        name=suite,
        suite=suite,
        python=python,
        debian="arm64",
        machine="aarch64",
        qemu="qemu-aarch64-static",
        packages=("python3", "libstdc++6"),
        wheels=("numpy", "pillow", "onnxruntime", "ai-edge-litert"),
        platforms=("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"),
        files=(
            "static-int8.tflite",
            "static-int8.attention.tflite",
            "float32.tflite",
            "static-int8.onnx",
            "float32.onnx",
        ),
        **more,
    )


SYSTEMS = {
    system.name: system
    for system in (
        _current("bookworm", "3.11"),
        _current("trixie", "3.13", full_run_only=True),
        # What docs/raspberry-pi.md says of 32-bit systems: NumPy and Pillow are Debian's.
        System(
            name="bookworm-32-bit",
            suite="bookworm",
            python="3.11",
            debian="armhf",
            machine="armv7l",
            qemu="qemu-arm-static",
            packages=("python3", "libstdc++6", "python3-numpy", "python3-pil"),
            wheels=("tflite-runtime==2.14.0",),
            platforms=("manylinux_2_34_armv7l",),
            files=("compat.tflite", "compat.attention.tflite", "float32.tflite"),
        ),
    )
}


@dataclass(frozen=True)
class Board:
    """A board, by what programs see of it."""

    model: str
    """The device tree's name of it."""
    part: str
    """The core's part number, as in /proc/cpuinfo."""
    variant: str
    """The core's variant."""
    revision: int
    """The core's revision."""
    features: str
    """The core's features, as in /proc/cpuinfo.

    They must be those of the core that qemu plays: interpreters choose their instructions by them.
    """
    throttled: str
    """What the firmware says of throttling."""
    systems: tuple[str, ...] = ("bookworm", "trixie")
    """The systems that are tried on it, keys of `SYSTEMS`."""
    architecture: int = 8
    """The core's, as in /proc/cpuinfo."""

    def files(self) -> dict[str, str]:
        """Return the files of /proc and /sys by which programs know the board.

        Without them they would read the host's, and both interpreters crash on an x86 machine's.
        """
        cores = "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: {self.architecture}\n"
            f"CPU variant\t: {self.variant}\n"
            f"CPU part\t: {self.part}\nCPU revision\t: {self.revision}\n\n"
            for core in range(4)
        )
        return {
            "proc/cpuinfo": f"{cores}Model\t\t: {self.model}\n",
            "proc/device-tree/model": f"{self.model}\0",
            **{f"sys/devices/system/cpu/{name}": "0-3\n" for name in _CORE_LISTS},
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51120\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": f"{self.throttled}\n",
        }


_CORE_LISTS = ("possible", "present", "online")
_OLD = "fp asimd evtstrm crc32 cpuid"
_PI_2 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"
_PI_5 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)

BOARDS = {
    "cortex-a7": Board(
        "Raspberry Pi 2 Model B Rev 1.1", "0xc07", "0x0", 5, _PI_2, "0", ("bookworm-32-bit",), 7
    ),
    "cortex-a53": Board("Raspberry Pi Zero 2 W Rev 1.0", "0xd03", "0x0", 4, _OLD, "0"),
    "cortex-a72": Board("Raspberry Pi 4 Model B Rev 1.5", "0xd08", "0x0", 3, _OLD, "50005"),
    "cortex-a76": Board("Raspberry Pi 5 Model B Rev 1.0", "0xd0b", "0x4", 1, _PI_5, "0"),
}
"""By the core, in qemu's name. Raspberry Pi 3 has the Zero 2's. Never leave the core to qemu: its
default has matrix instructions with which int8 answers are wrong, without an error."""


@dataclass(frozen=True)
class Pi:
    """One board with one system on it."""

    name: str
    """The system, a key of `SYSTEMS`."""
    core: str
    """The core, a key of `BOARDS`."""

    def __str__(self) -> str:
        return f"{self.name} {self.core}"

    @property
    def system(self) -> System:
        """The system on it."""
        return SYSTEMS[self.name]

    def command(self, *words: object) -> list[str]:
        """Return the host's command that runs `edgecap-runtime` with these words on the Pi."""
        script = self.system.folder / "app" / "bin" / "edgecap-runtime"
        return self.python(script, *words)

    def python(self, *words: object) -> list[str]:
        """Return the host's command that runs the Pi's Python with these words."""
        python = self.system.root / "usr" / "bin" / f"python{self.system.python}"
        return [self.system.qemu, str(python), *(str(word) for word in words)]

    def environment(self, runtime: Path | None = None) -> dict[str, str]:
        """Return the environment of such a command.

        runtime: the folder that holds the package `edgecap_runtime`; by default the wheel that was
        installed for the system.
        """
        folder, usr = self.system.folder, self.system.root / "usr"
        # The system's own wheels first: beside the runtime there may be the host's.
        packages = (
            folder / "site",
            runtime or folder / "app",
            usr / "lib" / "python3" / "dist-packages",
        )
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "QEMU_LD_PREFIX": str(folder / self.core),
            "QEMU_CPU": self.core,
            "PYTHONHOME": str(usr),
            "PYTHONPATH": os.pathsep.join(str(path) for path in packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: object, **more: Any) -> str:
        """Run `edgecap-runtime` on the Pi and return its output.

        Raises `RuntimeError` with what it said where its exit status isn't 0.
        """
        done = subprocess.run(
            self.command(*words),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            **more,
        )
        if done.returncode:
            raise RuntimeError(f"{self}: status {done.returncode}\n{done.stderr}")
        return str(done.stdout)
