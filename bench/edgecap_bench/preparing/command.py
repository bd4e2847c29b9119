"""What `bench/preparation.py` runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from edgecap.console import print_json, print_table, progress_bar, run_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecap_bench.preparing.comparison import Prepared

__all__ = ["main", "preparation"]

SCHEMA = "edgecap-preparation/1"
_KINDS = {"baseline": False, "progressive": True}
_HEADS = ("ms", "in full", "ratio", "change", "largest", "encoder's", "same caption")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="Folder of photographs (or one photograph) to enlarge; by default edgecap's samples.",
)
@click.option(
    "--megapixels",
    type=click.FloatRange(0.1, 100),
    default=12,
    show_default=True,
    help="Size of the camera.",
)
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns of each way."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def preparation(
    file: Path, photos: Path | None, megapixels: float, rounds: int, as_json: bool
) -> None:
    """Time how the photographs of a camera are prepared for a captioner's FILE, and what it costs.

    Photographs are enlarged, a camera's noise is laid over them, and each is written as a JPEG,
    baseline and progressive. The runtime's preparation, which decodes a large JPEG at reduced
    scale, takes turns with Pillow's full decode and resize; what changes is compared in pixels,
    in what the encoder makes of them, and in words.
    """
    from edgecap_bench.machine import describe_machine
    from edgecap_bench.planning import find_photos
    from edgecap_bench.preparing.comparison import Comparer
    from edgecap_bench.preparing.photographs import as_taken

    paths = find_photos(photos)
    comparer = Comparer(file, threads=1)
    found: dict[str, list[Prepared]] = {kind: [] for kind in _KINDS}
    try:
        with progress_bar("photographs") as progress:
            for place, path in enumerate(paths):
                progress(place, len(paths))
                for kind, progressive in _KINDS.items():
                    photo = as_taken(path, megapixels, progressive=progressive, seed=place)
                    found[kind].append(comparer.compare(photo, rounds))
            progress(len(paths), len(paths))
    finally:
        comparer.close()
    if as_json:
        print_json(
            {
                "schema": SCHEMA,
                "file": file.name,
                "rounds": rounds,
                "machine": describe_machine(),
                "photos": {
                    kind: [
                        {"photo": path.name, **asdict(one)}
                        for path, one in zip(paths, several, strict=True)
                    ]
                    for kind, several in found.items()
                },
            }
        )
        return
    print_table(
        f"{len(paths)} photographs of {megapixels:g} megapixels for {file.name}",
        ("JPEG", *_HEADS),
        [(kind, *_cells(several)) for kind, several in found.items()],
        tight=True,
    )


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(preparation, "preparation.py")


def _cells(several: Sequence[Prepared]) -> list[str]:
    ratios = [one.ms / one.full_ms for one in several]
    return [
        f"{median(one.ms for one in several):.1f}",
        f"{median(one.full_ms for one in several):.1f}",
        f"{median(ratios):.2f}",
        f"{sum(one.change for one in several) / len(several):.2f}",
        str(max(one.largest for one in several)),
        f"{median(one.state_change for one in several):.2%}",
        f"{sum(one.same for one in several)} of {len(several)}",
    ]
