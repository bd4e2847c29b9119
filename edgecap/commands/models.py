"""`edgecap models`: the captioners in the box."""

from __future__ import annotations

from typing import Any

import click

from edgecap.box import captioners
from edgecap.captioner import read_design
from edgecap.console import print_json, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def models(as_json: bool) -> None:
    """List the captioners that come with edgecap.

    Each name works wherever a command asks for a RUN.
    """
    rows: list[dict[str, Any]] = []
    for name, folder in captioners().items():
        design = read_design(folder)
        scores = design.provenance.get("scores", {}).get("dev", {})
        beam = next((search for search in scores if search != "greedy"), None)
        rows.append(
            {
                "name": name,
                "encoder": design.encoder,
                "decoder": design.decoder,
                "megabytes": sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
                "words": len(design.vocabulary),
                "data": design.provenance.get("data"),
                "licence": design.provenance.get("licence"),
                "dev": scores,
                "search": beam,
            }
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        "captioners in the box (dev scores are corpus BLEU)",
        ("name", "encoder + decoder", "MB", "words", "trained on", "BLEU-1", "BLEU-4", "licence"),
        [
            (
                row["name"],
                f"{row['encoder']} + {row['decoder']}",
                f"{row['megabytes']:.1f}",
                str(row["words"]),
                f"{row['data']}",
                *(f"{row['dev'][row['search']]['corpus_bleu'][order]:.1f}" for order in (0, 3)),
                f"{row['licence']}",
            )
            for row in rows
        ],
    )
