"""`edgecap check`: the runtime's own command, under edgecap's name."""

from __future__ import annotations

import click

from edgecap.commands._runtime import runtime_command

check: click.Command = runtime_command(
    "check", "Tell whether a file says here what it said where it was exported."
)
