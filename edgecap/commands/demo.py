"""`edgecap demo`: the whole road with a captioner in the box and the sample photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecap.console import load_keras, print_json, print_notes, print_table, progress_bars

if TYPE_CHECKING:
    from edgecap.demonstration import Demonstration

_CALIBRATED_ON = 128
"""Photographs of the train split of --data, at most."""


@click.command()
@click.argument("run", metavar="[RUN]", default="mobilenet-attention")
@click.option(
    "-o",
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the exported files and the picture.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions to prove on, with a train split to calibrate on; by "
    "default the samples serve for both.",
)
@click.option("--split", default="dev", show_default=True, help="Split of --data to prove on.")
@click.option(
    "--images",
    "limit",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs of --data to prove on, at most.",
)
@click.option("--threads", type=int, help="Threads of the interpreters; by default all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def demo(
    run: str,
    out: Path,
    data: Path | None,
    split: str,
    limit: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Export a captioner to every target, prove each, caption the samples, show it all.

    Writes the files, and captions.png with the sample photographs and what was said of them. A
    target below its recipe's gate is refused, and the others go on; the exit status is 2 if one of
    the float32 targets was.
    """
    load_keras()
    from edgecap.demonstration import demonstrate
    from edgecap.exporting import CalibrationPhotos, ParityImages

    images = ParityImages.choose(data=data, split=split, photos=None, limit=limit)
    of_data = CalibrationPhotos.choose(
        given=None, data=data, split=split, count=_CALIBRATED_ON, seed=0
    )
    photographs = of_data or CalibrationPhotos.samples(count=_CALIBRATED_ON, seed=0)
    with progress_bars() as report:
        shown = demonstrate(
            run, out, images=images, calibrate=photographs, threads=threads, progress=report
        )
    calibration = shown.calibration
    left_out = () if calibration is None else calibration.left_out
    print_notes(f"left out of the calibration: {problem}" for problem in left_out)
    if as_json:
        print_json(shown.to_dict())
    else:
        _print_all(run, shown)
        if calibration is not None:
            better = "" if of_data else "; give --data for better"
            click.echo(f"static-int8: {photographs.used(calibration)}{better}")
    if not shown.holds:
        click.echo("error: a float32 target does not say what Keras says; see its row", err=True)
        click.get_current_context().exit(2)


def _print_all(run: str, shown: Demonstration) -> None:
    from edgecap.demonstration import COLUMNS, SCORE_COLUMNS

    title = f"{run}, timed on {shown.photos} photographs"
    print_table(title, COLUMNS, [row.cells() for row in shown.targets])
    for row in shown.targets:
        if row.refused is not None:
            click.echo(f"{row.target} is refused: {row.refused}")
    scores = [line for row in shown.targets for line in row.scores()]
    if scores:
        print_table("corpus BLEU-4, paired with Keras'", SCORE_COLUMNS, scores)
    click.echo("greedy =, beam =: captions that are Keras' own, word for word")
    click.echo("log p: largest difference of a log-probability from Keras' at equal prefixes")
    click.echo(f"compared with Keras: {shown.verdict()}")
    if shown.picture is not None:
        click.echo(f"picture: {shown.picture}")
