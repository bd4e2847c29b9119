"""The programs that emulation takes: which are missing, and where they come from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from edgecap_bench.emulation.systems import CHECKOUT, SYSTEMS, System

__all__ = ["APT", "CHROMIUM", "MMDEBSTRAP", "QEMU_X86_64", "WEB", "no_browser", "no_node",
           "no_system"]  # fmt: skip

WEB = CHECKOUT / "runtime" / "web"
MMDEBSTRAP = "mmdebstrap"
CHROMIUM = "chromium"
QEMU_X86_64 = "qemu-x86_64-static"
APT = {
    **{system.qemu: "qemu-user-static" for system in SYSTEMS.values()},
    QEMU_X86_64: "qemu-user-static",
    MMDEBSTRAP: "mmdebstrap",
    CHROMIUM: "chromium",
}
"""Debian's packages, by the program that is wanted of each."""
OLDEST_NODE = 20


def no_system(system: System) -> str | None:
    """Return why a system's programs can't be run or made; None if they can."""
    needed = [system.qemu] if system.root.exists() else [system.qemu, MMDEBSTRAP]
    missing = [APT[tool] for tool in needed if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)} (apt-get install)" if missing else None


def no_node() -> str | None:
    """Return why JavaScript can't be run outside a browser; None if it can."""
    reason = f"needs Node {OLDEST_NODE} or newer with npm"
    if shutil.which("node") is None or shutil.which("npm") is None:
        return reason
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)", done.stdout)
    if version is None or int(version[1]) < OLDEST_NODE:
        return f"{reason}; this is {done.stdout.strip() or 'broken'}"
    return None


def no_browser() -> str | None:
    """Return why nothing can be run in a browser; None if it can."""
    # Where tests/web/browser.js looks for it.
    places = [os.environ.get("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser"]
    if not any(place and Path(place).exists() for place in places):
        return "needs Chromium (apt-get install chromium)"
    return no_node()
