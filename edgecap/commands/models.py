"""`edgecap models`: the captioners that come with edgecap, and those that a command makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from edgecap.box import captioners, known_captioners
from edgecap.console import print_json, print_notes, print_table
from edgecap.record import Record, read_record

_FORMAT = "tflite"
_RECIPES = ("float32", "static-int8")
"""Whose sizes are shown; the scores are those of the first."""

_COLUMNS = ("name", "MB", "int8", "B-1", "B-2", "B-3", "B-4", "CIDEr", "search")
_UNKNOWN = "-"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def models(as_json: bool) -> None:
    """List the captioners that come with edgecap, and those that a command makes.

    Names of those in the box work wherever a command asks for a RUN, and for `caption` and `show`.
    Sizes are those of the .tflite files of float32 and static-int8, scores those of the float32
    file by the captioner's own search. They come from the record that `edgecap publish` or
    `edgecap card` measured.
    """
    in_the_box = captioners()
    rows = [
        _row(read_record(folder), name, name in in_the_box)
        for name, folder in known_captioners().items()
    ]
    # What can be used at once comes first.
    rows.sort(key=lambda row: not row["in_the_box"])
    if as_json:
        print_json(rows)
        return
    measured = {
        f"{row['scores']['data']} {row['scores']['split']}" for row in rows if row["scores"]
    }
    on = f" on {', '.join(sorted(measured))}" if measured else ""
    title = (
        f"captioners: MB of the {_RECIPES[0]} and {_RECIPES[1]} .{_FORMAT}, corpus BLEU-1 to 4 and "
        f"CIDEr-D{on}"
    )
    print_table(title, _COLUMNS, [_cells(row) for row in rows], tight=True)
    for row in rows:
        click.echo(f"{row['name']}: {row['encoder']} + {row['decoder']}; {row['licence']}")
    elsewhere = [row for row in rows if not row["in_the_box"]]
    if elsewhere:
        click.echo("\n* not in the box; made by")
        for row in elsewhere:
            click.echo(f"  {row['name']}: {' && '.join(row['commands'])}")
    print_notes(_unmeasured(rows))


def _row(record: Record, name: str, in_the_box: bool) -> dict[str, Any]:
    """Give what is known of one captioner, for JSON."""
    measured, provenance = record.measurement, record.provenance
    row: dict[str, Any] = {
        "name": name,
        "in_the_box": in_the_box,
        "encoder": record.encoder["name"],
        "decoder": record.decoder["name"],
        "words": record.words,
        "data": provenance.get("data"),
        "licence": provenance.get("licence"),
        "commands": record.commands,
        "megabytes": {},
        "scores": None,
    }
    if measured is None:
        return row
    row["megabytes"] = {
        f"{target.format} {target.recipe}": target.bytes / 1e6 for target in measured.targets
    }
    row["scores"] = {
        "data": measured.data,
        "split": measured.split,
        "images": measured.images,
        "search": measured.search,
        "files": {f"{target.format} {target.recipe}": target.scores for target in measured.targets},
    }
    return row


def _cells(row: Mapping[str, Any]) -> list[str]:
    name = row["name"] if row["in_the_box"] else f"{row['name']} *"
    if row["scores"] is None:
        return [name, *[_UNKNOWN] * (len(_COLUMNS) - 1)]
    files = [f"{_FORMAT} {recipe}" for recipe in _RECIPES]
    sizes = [f"{size:.1f}" if (size := row["megabytes"].get(file)) else "-" for file in files]
    search = row["scores"]["search"]
    scores = row["scores"]["files"][files[0]][search]
    return [
        name,
        *sizes,
        *(f"{bleu:.1f}" for bleu in scores["corpus_bleu"]),
        f"{scores['cider_d']:.3f}",
        search,
    ]


def _unmeasured(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{row['name']} was not measured yet: edgecap card {row['name']} --data FOLDER"
        for row in rows
        if row["in_the_box"] and row["scores"] is None
    ]
