"""What is read of the machine, from a made-up one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecap_runtime.device.health import Health, read_health
from edgecap_runtime.device.machine import describe_machine
from edgecap_runtime.device.memory import peak_resident_mb, resident_mb


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def no_command(command: Sequence[str]) -> None:
    return None


PI = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "61322\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd asimddp\n"
    "\nHardware\t: BCM2835\nModel\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/meminfo": "MemTotal:        8255504 kB\nMemFree: 1 kB\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
}


@pytest.mark.parametrize(
    ("bits", "now", "before"),
    [
        ("0", (), ()),
        ("50005\n", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("80008", ("soft temperature limit",), ("soft temperature limit",)),
        ("0x20000", (), ("clock capped",)),
    ],
)
def test_a_pi_says_it_by_sysfs(
    bits: str, now: tuple[str, ...], before: tuple[str, ...], tmp_path: Path
) -> None:
    firmware = "sys/devices/platform/soc/soc:firmware/get_throttled"
    root = write(tmp_path, {**PI, firmware: bits})
    assert read_health(root, no_command) == Health(61.322, now, before, 1500, 2400)


def test_a_pi_says_it_by_vcgencmd(tmp_path: Path) -> None:
    answers = {"get_throttled": "throttled=0x50004\n", "measure_temp": "temp=47.2'C\n"}
    health = read_health(tmp_path, lambda command: answers[command[1]])
    assert health == Health(47.2, ("throttled",), ("under-voltage", "throttled"), None, None)
    assert str(health) == "at 47.2 °C, slowed down now (throttled)"


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    for said in (None, "", "VCHI initialization failed\n"):
        health = read_health(tmp_path, lambda command, said=said: said)  # type: ignore[misc]
        assert health == Health(None, None, None, None, None)
    assert str(health) == "of unknown temperature, throttling unknown"


def test_throttling_in_the_past_is_told() -> None:
    health = Health(50.0, (), ("under-voltage",), None, None)
    assert str(health) == "at 50.0 °C, not throttled now, but since it started (under-voltage)"


def test_another_machine_gives_its_warmest_zone(tmp_path: Path) -> None:
    zones = {
        f"sys/class/thermal/thermal_zone{place}/{name}": text
        for place, (kind, value) in enumerate([("gpu", "70000"), ("nvme", "x"), ("board", "41000")])
        for name, text in (("type", kind), ("temp", value))
    }
    assert read_health(write(tmp_path, zones), no_command).temperature_c == 70.0


def test_the_machine_is_described(tmp_path: Path) -> None:
    machine = describe_machine(write(tmp_path, PI))
    assert machine["model"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert machine["memory_mb"] == 8453
    assert machine["governor"] == "ondemand"
    assert machine["flags"] == ["asimd", "asimddp"]
    assert {"numpy", "pillow"} <= set(machine["versions"])
    empty = describe_machine(tmp_path / "none")
    assert empty["model"] is None
    assert empty["memory_mb"] is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_is_this_process_own() -> None:
    """What a large parent held isn't counted, and what was held for a moment is."""
    script = (
        "from edgecap_runtime.device.memory import peak_resident_mb, resident_mb\n"
        "before = peak_resident_mb()\n"
        "bytearray(b'x' * 50_000_000)\n"
        "print(before, resident_mb(), peak_resident_mb())"
    )
    ballast = bytearray(b"x" * 300_000_000)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, now, peak = (float(word) for word in done.stdout.split())
    assert len(ballast) == 300_000_000
    assert before < 150
    assert peak >= before + 45
    assert now < peak
    own = peak_resident_mb()
    assert own is not None
    assert own >= 300
    assert own >= (resident_mb() or 0) - 1
