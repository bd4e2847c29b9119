"""`edgecap card`: the model card of a captioner, made anew from its record."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.commands._measuring import measure_and_write, measuring_options


@click.command()
@click.argument("captioner", metavar="NAME|DIR")
@measuring_options(
    data="Folder with photographs and captions: exports to every target and scores each anew; by "
    "default the figures of the record are taken."
)
def card(captioner: str, data: Path | None, split: str, limit: int | None) -> None:
    """Write a captioner's model card, README.md in its folder.

    Figures come from record.json there, which --data makes anew: scores of float32, dynamic-int8
    and static-int8 in both formats, faults, and captions of the sample photographs. Prose comes
    from what is known of the data, and from notes.md there, which is yours: its sections stand
    under the card's headings of the same name, or under their own.

    \b
    Examples:
      edgecap card mobilenet-lstm --data flickr8k
      edgecap card shipped/mine
    """
    from edgecap.box import find_run, known_captioners
    from edgecap.cards import write_card
    from edgecap.record import RECORD, read_record

    if data is not None:
        click.echo(measure_and_write(find_run(captioner), data, split, limit))
        return
    folder = Path(captioner)
    if not (folder / RECORD).is_file():
        folder = known_captioners().get(captioner) or find_run(captioner)
    click.echo(write_card(read_record(folder), folder))
