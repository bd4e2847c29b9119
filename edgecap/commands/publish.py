"""`edgecap publish`: a small copy of a run, fit to be shipped."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write; must not hold a run yet.",
)
@click.option(
    "--licence",
    required=True,
    help="Licence of the weights and the terms of the data, in one line.",
)
@click.option(
    "--card",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A model card (Markdown) to put beside the weights.",
)
@click.option("--name", help="Another name for the captioner.")
def publish(run: str, out: Path, licence: str, card: Path | None, name: str | None) -> None:
    """Copy a run with its weights rounded to float16, without checkpoints.

    Rounding halves the size. The copy is a run like any other: exports of it are proven against
    the rounded weights.

    \b
    Example:
      edgecap publish runs/mobilenet-lstm -o shipped/mobilenet-lstm --licence Apache-2.0
    """
    from edgecap.box import find_run
    from edgecap.publishing import publish_run

    size = publish_run(find_run(run), out, licence=licence, card=card, name=name)
    click.echo(f"{out}: {size / 1e6:.1f} MB")
