"""The `edgecap` command; each subcommand is one module in `edgecap.commands` or an entry point."""

from __future__ import annotations

import importlib
import keyword
from importlib.metadata import entry_points

import click

import edgecap
from edgecap.console import EdgecapGroup, quiet_tensorflow

_COMMANDS = (
    "train",
    "import",
    "average",
    "runs",
    "evaluate",
    "search",
    "export",
    "recipes",
    "sensitivity",
    "caption",
    "show",
    "check",
    "models",
    "publish",
    "card",
    "demo",
)
"""Modules of `edgecap.commands`, in the order of the work; each holds a command of its name. One
that is a word of Python has `_` behind it there."""


class _LazyGroup(EdgecapGroup):
    """Imports a subcommand when it is asked for, so that `edgecap models` needs no Keras."""

    def list_commands(self, context: click.Context) -> list[str]:
        plugins = sorted(entry_points(group="edgecap.commands").names)
        return [*_COMMANDS, *(name for name in plugins if name not in _COMMANDS)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in _COMMANDS:
            place = f"{name}_" if keyword.iskeyword(name) else name
            module = importlib.import_module(f"edgecap.commands.{place}")
            command: click.Command = getattr(module, place)
            return command
        for point in entry_points(group="edgecap.commands", name=name):
            loaded: click.Command = point.load()
            return loaded
        return None


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgecap.__version__, prog_name="edgecap")
def main() -> None:
    """Take an image captioner trained in Keras and make it run well on small devices.

    The usual road: train or import (or take one from the box, see `edgecap models`), export to one
    .tflite or .onnx file, caption photographs with that file, bench it.
    """
    quiet_tensorflow()
