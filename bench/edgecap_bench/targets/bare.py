"""Rows of bare parts: `bench/bare.py`, which imports nothing of edgecap, on the same file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import edgecap_bench
from edgecap_bench.targets.registry import Plan
from edgecap_runtime.errors import OptionError

__all__ = ["bare_script", "plan_floor"]


def bare_script() -> Path:
    """Find the script; raises `OptionError` where only the installed packages are there."""
    script = Path(edgecap_bench.__file__).parents[1] / "bare.py"
    if not script.is_file():
        raise OptionError(
            "The bare rows need bench/bare.py of edgecap's repository, which the installed "
            "package has not; run the benchmark in a checkout, or with --no-bare."
        )
    return script


def plan_floor(plan: Plan, threads: int) -> Plan:
    """Plan the bare row for the target of an exported file."""
    (file,) = plan.files
    command = (sys.executable, "-P", str(bare_script()), str(file))
    return replace(
        plan,
        label=f"bare {plan.label}",
        command=(*command, "--serve", "--threads", str(threads)),
        start={},
        recipe=None,
        beams=False,
        quality=False,
        has_floor=False,
        floor_of=plan.label,
    )
