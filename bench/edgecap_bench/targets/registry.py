"""What a target is to the benchmark, and how the user's words become targets."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecap_runtime.errors import OptionError

__all__ = [
    "KINDS",
    "Kind",
    "Plan",
    "Setting",
    "no_variants",
    "plan_targets",
    "register",
    "visible_gpus",
]

WORKER = (sys.executable, "-P", "-m", "edgecap_bench.worker")
"""The command that starts `edgecap_bench.worker`."""


@dataclass(frozen=True)
class Setting:
    """What is the same for all targets that come from a run."""

    run: Path
    """Folder of the captioner in Keras form."""
    name: str
    """The captioner's name."""
    out: Path
    """Folder of the report; exported files go there."""
    threads: int
    """Threads of every library."""


@dataclass(frozen=True)
class Plan:
    """One row of the benchmark: how its worker is started and what it is asked for."""

    label: str
    """Its name in tables."""
    files: tuple[Path, ...]
    """What a device needs of the captioner; their sizes are added."""
    command: Sequence[str] = WORKER
    """Program and arguments of its worker process."""
    start: Mapping[str, Any] = field(default_factory=dict)
    """The start request: `target` ("module:Class") and its `arguments`."""
    threads: int | None = None
    """Threads of every library; None where that says nothing, as on a GPU."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of its process, over those that give every library its threads."""
    recipe: str | None = None
    """Recipe by which the file is exported before the start; None if it is there already."""
    beams: bool = True
    """Whether it can search with a beam."""
    photos: int | None = None
    """Only so many of the photographs are timed, for a slow target; None for all."""
    quality: bool = True
    """Whether its captions are scored."""
    baseline: bool = False
    """Whether the table says how many times faster the others are."""
    has_floor: bool = False
    """Whether it is one exported file, which the bare interpreter can run as well."""
    floor_of: str | None = None
    """For a row of bare parts: the label of the target whose floor it is, whose words it is fed."""


@dataclass(frozen=True)
class Kind:
    """A kind of target that a run can be measured as."""

    name: str
    """The name users type, before any ":"."""
    description: str
    """A line for the help text."""
    variants: Callable[[], tuple[str, ...]]
    """What may stand after the ":"; nothing if empty, one of them if not."""
    plan: Callable[[Setting, str], Plan]
    """From the setting and the variant ("" where there is none) to the row."""
    usual: tuple[str, ...] | None = None
    """The variants that are taken where a user names none; None for all."""
    by_default: bool = True
    """Whether any are."""


KINDS: dict[str, Kind] = {}
"""The kinds of targets, by name."""


def register(kind: Kind) -> None:
    """Make a kind of target known."""
    KINDS[kind.name] = kind


def no_variants() -> tuple[str, ...]:
    """The `variants` of a kind that has none."""
    return ()


def visible_gpus() -> dict[str, str]:
    """Give the variables that let a process see the first GPU, or those that the user allows."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": "0" if allowed in ("", "-1") else allowed}


def legal_targets() -> tuple[str, ...]:
    """Give all names of targets of a run, in the order of a table."""
    return tuple(
        f"{kind.name}:{variant}" if variant else kind.name
        for kind in KINDS.values()
        for variant in kind.variants() or ("",)
    )


def usual_targets() -> tuple[str, ...]:
    """Give the names of the targets that are measured where a user names none."""
    return tuple(
        f"{kind.name}:{variant}" if variant else kind.name
        for kind in KINDS.values()
        if kind.by_default
        for variant in kind.usual or kind.variants() or ("",)
    )


def plan_targets(setting: Setting, names: Sequence[str] | None) -> list[Plan]:
    """Plan the targets of these names, each once, in their order; the usual ones for None.

    Raises `OptionError` for an unknown name, listing the legal ones.
    """
    legal = legal_targets()
    plans: dict[str, Plan] = {}
    for name in usual_targets() if names is None else names:
        if name not in legal:
            raise OptionError(f"There is no target {name!r}; choose among {', '.join(legal)}.")
        kind, _, variant = name.partition(":")
        plans[name] = KINDS[kind].plan(setting, variant)
    if not plans:
        raise OptionError(f"No target is named; choose among {', '.join(legal)}.")
    return list(plans.values())
