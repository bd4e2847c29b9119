"""`edgecap sensitivity`: which part, and which block of the encoder, quantization hurts most."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.commands._calibration import calibration_options
from edgecap.console import load_keras, print_json, print_notes, print_table, progress_bars
from edgecap_export.recipe_files import recipe_of
from edgecap_runtime.errors import OptionError


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions to compare on; its train split calibrates.",
)
@click.option("--split", default="dev", show_default=True, help="Split of --data to compare on.")
@click.option(
    "--images",
    "limit",
    default=100,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to compare on, at most.",
)
@calibration_options(
    photographs="Photographs to calibrate on, in place of the train split.",
    count=32,
    images="How many; an export takes more, but here each block is calibrated anew.",
)
@click.option(
    "--recipe",
    "recipe",
    default="static-int8",
    show_default=True,
    help="Recipe whose treatments are tried, by name or from a .toml or .json file.",
)
@click.option(
    "--format",
    "suffix",
    default="tflite",
    show_default=True,
    type=click.Choice(["tflite", "onnx"]),
    help="The format of the files that are tried.",
)
@click.option("--threads", type=int, help="Threads while timing; by default all cores.")
@click.option(
    "-o",
    "--out",
    default="sensitivity",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the report as picture, CSV and JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def sensitivity(
    run: str,
    data: Path | None,
    split: str,
    limit: int,
    calibrate: str | None,
    calibrated_on: int,
    seed: int,
    recipe: str,
    suffix: str,
    threads: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Quantize one part, and one block of the encoder, at a time, and say what each does.

    For each: what it saves, how many captions change, how far log-probabilities move, BLEU-4, and
    speed. Names the block that hurts most, and measures what `edgecap export --keep-float` gains
    by leaving it, or it and the next, in float. Without --data the samples in the box serve.

    Each takes an export and a proof, so it lasts some minutes; --images 20 for a first look.

    \b
    Examples:
      edgecap sensitivity mobilenet-lstm --data flickr8k
      edgecap sensitivity runs/mine --data flickr8k --recipe weight-int4 -o report/
    """
    load_keras()
    from edgecap.box import find_run
    from edgecap.captioner import TrainedCaptioner
    from edgecap.exporting import (
        SAMPLES,
        CalibrationPhotos,
        ParityImages,
        check_is_run,
        remarks,
    )
    from edgecap.files import make_folder
    from edgecap.sensitivity import check_quantizes, measure_sensitivity
    from edgecap.sensitivity_report import HEADS, LEGEND, tables, to_dict, verdict, write_report
    from edgecap.timing import OtherWork

    check_is_run(run)
    chosen = recipe_of(recipe)
    check_quantizes(chosen)
    given = SAMPLES if calibrate is None and data is None and chosen.calibrated else calibrate
    photographs = CalibrationPhotos.of_recipe(
        chosen, given=given, data=data, split=split, count=calibrated_on, seed=seed
    )
    if chosen.calibrated and photographs is None:
        raise OptionError(
            f"recipe {chosen.name!r} is calibrated on photographs, and --data has none in a train "
            "split besides those compared on; give a folder with --calibrate FOLDER"
        )
    images = ParityImages.choose(data=data, split=split, photos=None, limit=limit)
    source = TrainedCaptioner.load(find_run(run)).source()
    make_folder(out)  # sooner than after minutes of work
    others = OtherWork()
    with progress_bars() as report:
        calibration = None
        if photographs is not None:
            calibration = photographs.calibration(source, report)
        found = measure_sensitivity(
            source,
            chosen,
            f".{suffix}",
            images=images,
            calibration=calibration,
            threads=threads,
            others=others,
            progress=report,
        )
    print_notes([*remarks(images, photographs, calibration), others.note()])
    picture = write_report(found, out)
    if as_json:
        print_json(to_dict(found))
        return
    for title, rows in tables(found).items():
        print_table(title, HEADS, rows, tight=True)
    click.echo(f"{run}, {found.format}, {found.images} photographs")
    click.echo("\n".join(LEGEND))
    click.echo("\n".join(["", *verdict(found)]))
    click.echo(f"picture: {picture}")
