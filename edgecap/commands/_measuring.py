"""What the commands share that score a captioner's files for its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgecap.commands._options import together
from edgecap.console import how_made, load_keras, progress_bars


def measuring_options(*, data: str) -> Callable[[Any], Any]:
    """Make the decorator that adds --data, --split and --images.

    data: help of --data.
    """
    return together(
        click.option("--data", type=click.Path(path_type=Path), help=data),
        click.option(
            "--split", default="dev", show_default=True, help="Split of --data to score on."
        ),
        click.option(
            "--images",
            "limit",
            type=click.IntRange(min=1),
            help="Photographs of it, at most; by default all.",
        ),
    )


other_seeds_option = click.option(
    "--other-seed",
    "others",
    multiple=True,
    metavar="RUN",
    help="A run of the same training with another seed, whose dev scores go into the record. May "
    "be repeated.",
)


def measure_and_write(folder: Path, data: Path, split: str, limit: int | None) -> Path:
    """Score the files of the captioner in `folder`, write its record and its card; gives the card.

    Raises:
        EdgecapError: it can't be exported, the data can't be read, or the folder can't be written.
    """
    load_keras()
    from edgecap.cards import write_card
    from edgecap.measuring import measure_captioner
    from edgecap.publishing import without_folders
    from edgecap.record import read_record, write_record

    record = read_record(folder)
    made = how_made("measured")
    made["command"] = without_folders(made["command"])
    with progress_bars() as report:
        measured = measure_captioner(
            folder, data, split=split, limit=limit, made=made, progress=report
        )
    record = record.measured(measured)
    write_record(record, folder)
    return write_card(record, folder)
