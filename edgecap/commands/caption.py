"""`edgecap caption`: the runtime's own command, under edgecap's name."""

from __future__ import annotations

import click

from edgecap.commands._runtime import runtime_command

caption: click.Command = runtime_command("caption", "Caption photographs with an exported file.")
