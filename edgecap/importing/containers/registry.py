"""What a container of a trained model is to the rest of the importer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecap.importing.graph import Graph
from edgecap.registry import Registry
from edgecap_runtime.errors import OptionError


@dataclass(frozen=True)
class Container:
    """A registered way of keeping a model in a file or folder."""

    name: str
    """What it is called in tables."""

    holds: str
    """What it is, for the sentence that lists all."""

    brings_graph: bool
    """Whether it holds the graph beside the weights."""

    recognises: Callable[[Path], bool]
    """Whether a path is one, by what is in it."""

    read: Callable[[Path, Path | None], Graph]
    """From a path, and the JSON file of the architecture where the user gave one, to the graph.

    Raises `OptionError` for a damaged one, and where an architecture is missing or too much."""


CONTAINERS: Registry[Container] = Registry("container")


def find_container(path: Path) -> Container:
    """Find out what a model file is.

    Raises:
        OptionError: it is missing, or nothing that is known.
    """
    if not path.exists():
        raise OptionError(
            f"there is no model at {str(path)!r}; give a file or folder that Keras saved"
        )
    for name in CONTAINERS:
        if CONTAINERS[name].recognises(path):
            return CONTAINERS[name]
    known = ", ".join(CONTAINERS[name].holds for name in CONTAINERS)
    raise OptionError(f"{str(path)!r} is no model that edgecap reads; it reads {known}")


def refuse_architecture(path: Path, architecture: Path | None) -> None:
    """Refuse an architecture beside a file that brings its own.

    Raises:
        OptionError: there is one.
    """
    if architecture is not None:
        raise OptionError(
            f"{str(path)!r} holds its own architecture; leave --architecture "
            f"{str(architecture)!r} out"
        )
