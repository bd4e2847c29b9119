"""Commands that the device has too: passed on, so that both say and do the same."""

from __future__ import annotations

import sys

import click

from edgecap_runtime.cli import main as runtime_main


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
        sys.exit(runtime_main([name, *arguments], prog="edgecap"))

    return command
