"""Commands that the device has too: passed on, so that both say and do the same.

They take a captioner by name or as a run besides: it is exported once, and its file is passed on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgecap.console import load_keras, print_notes, progress_bars
from edgecap_export.formats import format_suffixes
from edgecap_runtime.cli import main as runtime_main
from edgecap_runtime.errors import OptionError

_NAMES = """
FILE may be the name of a captioner in the box too (see `{prog} models`), or a folder that `{prog}
train` wrote: it is exported to the user's cache folder once, to .tflite, and compared with Keras on
the sample photographs.

  --quantize RECIPE     what becomes of its weights, by default float32 (see `{prog} recipes`); one
                        that is calibrated is calibrated on the samples
"""


def runtime_command(name: str, short_help: str) -> click.Command:
    """Make the click command that hands its arguments to `edgecap-runtime NAME`."""

    @click.command(
        name,
        short_help=short_help,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )
    @click.option("--quantize", "recipe")
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(recipe: str | None, arguments: tuple[str, ...]) -> None:
        try:
            status = runtime_main(
                [name, *arguments],
                prog="edgecap",
                find=lambda captioner: _file_of(captioner, recipe),
            )
        except SystemExit:  # the runtime has shown its help
            click.echo(_NAMES.format(prog="edgecap"), nl=False)
            raise
        sys.exit(status)

    return command


def _file_of(captioner: str, recipe: str | None) -> str:
    """Give the path of a file, or of what a name or a run was exported to, now or before."""
    if Path(captioner).is_file() or captioner.lower().endswith(format_suffixes()):
        if recipe is not None:
            raise OptionError(
                f"--quantize is given but {captioner!r} is an exported file already; leave it out, "
                "or give the captioner that the file was made from"
            )
        return captioner
    from edgecap.cached import CachedFile

    file = CachedFile.of(captioner, recipe or "float32")
    if not file.found():
        load_keras()
        with progress_bars() as report:
            made = file.make(report)
        used = ", on which it is calibrated too" if made.calibration is not None else ""
        print_notes(
            [
                f"{captioner} was exported to {file.path}: {made.recipe}, {made.size / 1e6:.1f} "
                f"MB, {made.parity.verdict} (the samples in the box){used}"
            ]
        )
    return str(file.path)
