"""`edgecap publish`: a small copy of a run, fit to be shipped, with its record and its card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from edgecap.commands._measuring import measure_and_write, measuring_options, other_seeds_option


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
@measuring_options(
    data="Folder with photographs and captions: exports to every target, scores each on a split, "
    "and writes that into the record and the card; `edgecap card` can do it later."
)
@other_seeds_option
@click.option(
    "--notes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Hand-written parts of the model card (Markdown), by the card's headings.",
)
@click.option("--name", help="Another name for the captioner.")
@click.option(
    "--without-weights",
    is_flag=True,
    help="Keep the record and the card alone: the captioner is then known, with the command that "
    "makes it, and not in the folder.",
)
def publish(
    run: str,
    out: Path,
    licence: str,
    data: Path | None,
    split: str,
    limit: int | None,
    others: tuple[str, ...],
    notes: Path | None,
    name: str | None,
    without_weights: bool,
) -> None:
    """Copy a run with its weights rounded to float16, without checkpoints.

    Rounding halves the size. The copy is a run like any other: exports of it are proven against
    the rounded weights. Beside it are record.json, what is known of the captioner, and README.md,
    its model card.

    \b
    Example:
      edgecap publish runs/mobilenet-lstm -o shipped/mobilenet-lstm --licence Apache-2.0 \\
          --data flickr8k
    """
    from edgecap.box import find_run
    from edgecap.publishing import check_without_weights, keep_record, publish_run

    if without_weights:
        check_without_weights(out)
    with tempfile.TemporaryDirectory(prefix="edgecap-") as passing:
        folder = Path(passing) / out.resolve().name if without_weights else out
        publish_run(
            find_run(run),
            folder,
            licence=licence,
            notes=notes,
            name=name,
            others=[find_run(other) for other in others],
        )
        if data is not None:
            measure_and_write(folder, data, split, limit)
        if without_weights:
            keep_record(folder, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    click.echo(f"{out}: {size / 1e6:.1f} MB")
