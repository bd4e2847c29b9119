"""A Raspberry Pi without one: Debian's arm64 programs under qemu, pinned to the Pi's cores.

`prepare.py` makes what this runs.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BOARDS", "FOLDER", "FULL", "QEMU", "SUITES", "WANTED", "Board", "Pi"]

WANTED = os.environ.get("EDGECAP_DEVICES")
"""Which run the Makefile asks for, `quick` or `full`; None in `make test`."""
FULL = WANTED == "full"
FOLDER = Path(__file__).parents[2] / ".devices"
QEMU = "qemu-aarch64-static"
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Raspberry Pi OS by the Debian release that it is made from, and the Python in it."""


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

    def files(self) -> dict[str, str]:
        """Give the files of /proc and /sys by which programs know the board.

        Without them they would read the host's, and both interpreters crash on an x86 machine's.
        """
        cores = "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: {self.variant}\n"
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
_PI_5 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)

BOARDS = {
    "cortex-a53": Board("Raspberry Pi Zero 2 W Rev 1.0", "0xd03", "0x0", 4, _OLD, "0"),
    "cortex-a72": Board("Raspberry Pi 4 Model B Rev 1.5", "0xd08", "0x0", 3, _OLD, "50005"),
    "cortex-a76": Board("Raspberry Pi 5 Model B Rev 1.0", "0xd0b", "0x4", 1, _PI_5, "0"),
}
"""By the core, in qemu's name. Raspberry Pi 3 has the Zero 2's. Never leave the core to qemu: its
default has matrix instructions with which int8 answers are wrong, without an error."""


@dataclass(frozen=True)
class Pi:
    """One board with one system on it."""

    suite: str
    """Debian's name of the system, a key of `SUITES`."""
    core: str
    """The core, a key of `BOARDS`."""

    def command(self, *words: object) -> list[str]:
        """Give the host's command that runs `edgecap-runtime` with these words on the Pi."""
        script = self._system / "app" / "bin" / "edgecap-runtime"
        return [QEMU, str(self._python), str(script), *(str(word) for word in words)]

    def python(self, *words: object) -> list[str]:
        """Give the host's command that runs the Pi's Python with these words."""
        return [QEMU, str(self._python), *(str(word) for word in words)]

    def environment(self) -> dict[str, str]:
        """Give the environment of such a command."""
        root = self._system / "root"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._system),
            "QEMU_LD_PREFIX": str(self._system / self.core),
            "QEMU_CPU": self.core,
            "PYTHONHOME": str(root / "usr"),
            "PYTHONPATH": os.pathsep.join(str(self._system / name) for name in ("app", "site")),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: object, **more: Any) -> str:
        """Run `edgecap-runtime` on the Pi; gives its output, and fails with what it said."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            **more,
        )
        assert done.returncode == 0, f"{self}: status {done.returncode}\n{done.stderr}"
        return done.stdout

    @property
    def _system(self) -> Path:
        return FOLDER / self.suite

    @property
    def _python(self) -> Path:
        return self._system / "root" / "usr" / "bin" / f"python{SUITES[self.suite]}"
