"""`edgecap models`: the captioners in the box."""

from __future__ import annotations

import json
from typing import Any

import click

from edgecap.box import captioners
from edgecap.console import print_json, print_table
from edgecap_runtime.options import search_name


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def models(as_json: bool) -> None:
    """List the captioners that come with edgecap.

    Each name works wherever a command asks for a RUN.
    """
    rows: list[dict[str, Any]] = []
    for name, folder in captioners().items():
        # Read as text: building the design would import Keras for a list.
        record = json.loads((folder / "run.json").read_text("utf-8"))
        provenance = record["provenance"]
        scores = provenance["scores"]["dev"]
        rows.append(
            {
                "name": name,
                "encoder": record["encoder"]["name"],
                "decoder": record["decoder"]["name"],
                "megabytes": sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
                "words": len((folder / "vocabulary.txt").read_text("utf-8").splitlines()),
                "data": provenance["data"],
                "licence": provenance["licence"],
                "dev": scores,
                "search": search_name(record["defaults"]["beam"]),
            }
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        "captioners in the box (dev scores: corpus BLEU, beam search)",
        ("name", "parts", "MB", "words", "data", "BLEU-1", "BLEU-4"),
        [
            (
                row["name"],
                f"{row['encoder']} + {row['decoder']}",
                f"{row['megabytes']:.1f}",
                str(row["words"]),
                f"{row['data']}",
                *(f"{row['dev'][row['search']]['corpus_bleu'][order]:.1f}" for order in (0, 3)),
            )
            for row in rows
        ],
    )
    for row in rows:
        click.echo(f"{row['name']}: {row['licence']}")
