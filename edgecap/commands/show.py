"""`edgecap show`: the runtime's own command, under edgecap's name."""

from __future__ import annotations

import click

from edgecap.commands._runtime import runtime_command

show: click.Command = runtime_command("show", "Print all that an exported file says of itself.")
