"""This machine's own x86-64 cores with features hidden: see `cpuid_mask.c`.

`python -m edgecap_bench.emulation.mask Haswell COMMAND...` runs a command so.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from edgecap_bench.emulation.systems import FOLDER
from edgecap_bench.machine import processor_flags
from edgecap_runtime.errors import EdgecapError

__all__ = ["MASKS", "compiled_mask", "masked", "no_mask"]

MASKS = {"Haswell": "avx2", "AVX-VNNI": "avx_vnni", "Nehalem": "sse4_2"}
"""The processors that can be played, each with the flag of /proc/cpuinfo that it takes."""

_SOURCE = Path(__file__).with_name("cpuid_mask.c")


def no_mask(cpu: str) -> str | None:
    """Return why this machine can't play a processor of `MASKS`; None if it can."""
    flags = processor_flags()
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return "needs Linux on an x86-64 processor"
    if "cpuid_fault" not in flags:
        return "needs a kernel and a processor that let CPUID fault (cpuid_fault in /proc/cpuinfo)"
    if MASKS[cpu] not in flags:
        return f"this machine's processor has no {MASKS[cpu]}"
    if _compiler() is None:
        return "needs a C compiler (apt-get install gcc libc6-dev)"
    return None


@functools.cache
def compiled_mask() -> Path:
    """Compile the library once for each version of its source, and return its path.

    Raises `EdgecapError` where it doesn't compile.
    """
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    library = FOLDER / f"cpuid_mask-{digest}.so"
    if not library.exists():
        FOLDER.mkdir(exist_ok=True)
        partial = library.with_suffix(f".{os.getpid()}.partial")
        done = subprocess.run(
            [str(_compiler()), "-shared", "-fPIC", "-O2", "-o", str(partial), str(_SOURCE)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EdgecapError(
                f"{_SOURCE.name} does not compile; install a C compiler with its headers, or leave "
                f"the masked processors out: {done.stderr.strip()[:300]}"
            )
        partial.replace(library)
    return library


def masked(cpu: str) -> dict[str, str]:
    """Return the variables that make a program see a processor of `MASKS` instead of this one."""
    return {"EDGECAP_CPU": cpu, "LD_PRELOAD": str(compiled_mask())}


def main() -> None:
    """Run the command in the arguments on the processor that is named before it."""
    cpu, command = (sys.argv[1] if len(sys.argv) > 2 else ""), sys.argv[2:]
    if cpu not in MASKS:
        sys.exit(f"error: the processor is {cpu!r}; give one of {', '.join(MASKS)}, and a command.")
    reason = no_mask(cpu)
    if reason is not None:
        sys.exit(f"error: this machine can't play a {cpu}: it {reason}.")
    try:
        os.execvpe(command[0], command, os.environ | masked(cpu))
    except (EdgecapError, OSError) as problem:
        sys.exit(f"error: {problem}")


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


if __name__ == "__main__":
    main()
