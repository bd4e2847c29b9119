"""Energy that the processor took, where the machine tells."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["joules", "joules_between"]

_METERS = Path("/sys/class/powercap")
"""Linux' running average power limit (RAPL): a folder for each package of cores."""

Meters = dict[str, tuple[float, float]]
"""By package: its counter and the largest value before it begins anew, joules."""


def joules(meters: Path = _METERS) -> Meters | None:
    """Read the meters of all packages; None where there are none that may be read."""
    found: Meters = {}
    for folder in sorted(meters.glob("intel-rapl:*")):
        if folder.name.count(":") > 1:
            continue  # a part of a package, which counts it already
        with suppress(OSError, ValueError):
            counter, most = (
                int((folder / name).read_text("ascii")) / 1e6
                for name in ("energy_uj", "max_energy_range_uj")
            )
            found[folder.name] = (counter, most)
    return found or None


def joules_between(before: Meters, after: Meters) -> float:
    """Give what was taken between two readings, a counter that began anew allowed for."""
    total = 0.0
    for name, (last, most) in after.items():
        first = before.get(name, (last, most))[0]
        total += last - first + (most if last < first else 0.0)
    return total
