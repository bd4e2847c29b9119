"""`edgecap card`: the model card of a captioner, made anew from its record."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.commands._measuring import measure_and_write, measuring_options, other_seeds_option


@click.command()
@click.argument("captioner", metavar="NAME|DIR")
@measuring_options(
    data="Folder with photographs and captions: exports to every target and scores each anew; by "
    "default the figures of the record are taken."
)
@other_seeds_option
def card(
    captioner: str, data: Path | None, split: str, limit: int | None, others: tuple[str, ...]
) -> None:
    """Write a captioner's model card, README.md in its folder.

    Figures come from record.json there, which --data makes anew: scores of float32, dynamic-int8
    and static-int8 in both formats, faults, and captions of the sample photographs. Prose comes
    from what is known of the data, and from notes.md there, which is yours: its sections stand
    under the card's headings of the same name, or under their own.

    \b
    Examples:
      edgecap card mobilenet-lstm --data flickr8k
      edgecap card mobilenet-lstm --other-seed runs/seed1 --other-seed runs/seed2
      edgecap card shipped/mine
    """
    from edgecap.box import find_run, known_captioners
    from edgecap.cards import write_card
    from edgecap.record import RECORD, read_record, write_record
    from edgecap.seeds import with_other_seeds

    folder = Path(captioner)
    if data is not None:
        folder = find_run(captioner)
    elif not (folder / RECORD).is_file():
        folder = known_captioners().get(captioner) or find_run(captioner)
    record = read_record(folder)
    if others:
        record = with_other_seeds(record, [find_run(other) for other in others])
        write_record(record, folder)
    if data is not None:
        click.echo(measure_and_write(folder, data, split, limit))
    else:
        click.echo(write_card(record, folder))
