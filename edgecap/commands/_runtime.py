"""Commands that the device has too: passed on, so that both say and do the same."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgecap.box import captioners
from edgecap_runtime.cli import main as runtime_main
from edgecap_runtime.errors import OptionError


def runtime_command(name: str, short_help: str) -> click.Command:
    """Make the click command that hands its arguments to `edgecap-runtime NAME`."""

    @click.command(
        name,
        short_help=short_help,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        captioner = next((word for word in arguments if not word.startswith("-")), "")
        if captioner in captioners() or (Path(captioner) / "run.json").is_file():
            raise OptionError(
                f"{captioner!r} is a captioner in Keras form; make a file of it first: "
                f"edgecap export {captioner} -o captioner.tflite"
            )
        sys.exit(runtime_main([name, *arguments], prog="edgecap"))

    return command
