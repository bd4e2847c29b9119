"""How warm the machine is, and whether it slows itself down.

A Raspberry Pi's firmware says so by `vcgencmd` or in sysfs; elsewhere the kernel's thermal zones
give the temperature, and the clocks are what there is to see of throttling.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Health", "read_health"]

# What the firmware's bits mean: raspberrypi.com, documentation of `vcgencmd get_throttled`.
_NOW = {
    0: "under-voltage",
    1: "clock capped",
    2: "throttled",
    3: "soft temperature limit",
}
_SINCE_BOOT = 16
_FIRMWARE = (
    "sys/devices/platform/soc*/*firmware/get_throttled",
    "sys/devices/platform/*/soc*/*firmware/get_throttled",
)
_PREFERRED_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp", "cpu")
_TIMEOUT_S = 3.0

Run = Callable[[Sequence[str]], "str | None"]


@dataclass(frozen=True)
class Health:
    """What the machine says of itself at one moment; None where it says nothing."""

    temperature_c: float | None
    """Temperature of the processor, degrees Celsius."""
    throttled: tuple[str, ...] | None
    """What slows it down now, e.g. `under-voltage`; empty for nothing, None where unknown."""
    throttled_since_boot: tuple[str, ...] | None
    """What has slowed it down at any time since it started; None where unknown."""
    clock_mhz: int | None
    """Present clock of the fastest core, MHz."""
    clock_max_mhz: int | None
    """Highest clock of that core, MHz."""

    def as_json(self) -> dict[str, Any]:
        """Give the fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        warm = "of unknown temperature"
        if self.temperature_c is not None:
            warm = f"at {self.temperature_c:.1f} °C"
        return f"{warm}, {self._slowed()}"

    def _slowed(self) -> str:
        if self.throttled is None:
            return "throttling unknown"
        if self.throttled:
            return f"slowed down now ({', '.join(self.throttled)})"
        if self.throttled_since_boot:
            return (
                f"not throttled now, but since it started ({', '.join(self.throttled_since_boot)})"
            )
        return "not throttled"


def read_health(root: Path = Path("/"), run: Run | None = None) -> Health:
    """Ask the machine how it is; what it doesn't know is None, and nothing is raised.

    root: where `sys` is, for tests; run: runs a command and gives its output or None.
    """
    asked = run or _run
    bits = _throttled_bits(root, asked)
    clock, highest = _clock(root)
    return Health(
        _temperature(root, asked),
        None if bits is None else _named(bits),
        None if bits is None else _named(bits >> _SINCE_BOOT),
        clock,
        highest,
    )


def _named(bits: int) -> tuple[str, ...]:
    return tuple(name for place, name in _NOW.items() if bits >> place & 1)


def _throttled_bits(root: Path, run: Run) -> int | None:
    # vcgencmd first: reading the kernel's file may clear what happened before.
    said = run(["vcgencmd", "get_throttled"])
    with suppress(ValueError):
        return int((said or "").partition("=")[2].strip(), 16)
    for pattern in _FIRMWARE:
        for path in sorted(root.glob(pattern)):
            with suppress(ValueError):
                return int(_text(path) or "", 16)
    return None


def _temperature(root: Path, run: Run) -> float | None:
    found: dict[str, float] = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        with suppress(ValueError):
            found[_text(zone / "type") or zone.name] = int(_text(zone / "temp") or "") / 1000
    for kind in _PREFERRED_ZONES:
        for name, value in found.items():
            if name.startswith(kind):
                return value
    if found:
        return max(found.values())
    said = run(["vcgencmd", "measure_temp"])
    with suppress(ValueError):
        return float((said or "").partition("=")[2].strip().rstrip("'C"))
    return None


def _clock(root: Path) -> tuple[int | None, int | None]:
    fastest: tuple[int | None, int | None] = (None, None)
    for folder in sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq")):
        with suppress(ValueError):
            now = int(_text(folder / "scaling_cur_freq") or "") // 1000
            most = int(_text(folder / "cpuinfo_max_freq") or "") // 1000
            if fastest[0] is None or now > fastest[0]:
                fastest = (now, most)
    return fastest


def _text(path: Path) -> str | None:
    # A sensor may be there and not answer.
    try:
        return path.read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return None


def _run(command: Sequence[str]) -> str | None:
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
