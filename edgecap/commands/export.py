"""`edgecap export`: a run to one .tflite or .onnx file that is proven to say the same."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.console import ERRORS, load_keras, print_json, progress_bars
from edgecap_runtime.errors import OptionError


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write; its ending, .tflite or .onnx, says the format.",
)
@click.option(
    "--quantize",
    "recipe",
    default="float32",
    show_default=True,
    help="Recipe, by name (see `edgecap recipes`) or from a .toml or .json file.",
)
@click.option(
    "--calibrate",
    metavar="FOLDER|samples",
    help="Photographs to calibrate a recipe on: a folder of 100 to 300, or `samples` for the few "
    "in the box. Without it the train split of --data serves.",
)
@click.option(
    "--calibration-images",
    "calibrated_on",
    default=128,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to calibrate on, chosen by --seed.",
)
@click.option("--seed", default=0, show_default=True, help="Chooses them.")
@click.option(
    "--keep-float",
    multiple=True,
    metavar="BLOCK",
    help="A block of the encoder to leave in float32; may be repeated, or blocks separated by "
    "commas. `edgecap sensitivity` names those that hurt.",
)
@click.option(
    "--ranges",
    type=click.Choice(["min-max", "moving-average", "percentile"]),
    help="How ranges of activations are calibrated; by default as the recipe says.",
)
@click.option(
    "--no-bias-correction",
    is_flag=True,
    help="Leave the biases as they are; by default they take back what rounding shifts.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions: proves on them, and compares BLEU too.",
)
@click.option("--split", default="dev", show_default=True, help="Split of --data to prove on.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of photographs to prove on, without captions.",
)
@click.option(
    "--images",
    "limit",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to prove on, at most; 'proven' takes 100.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the parity report as JSON.")
def export(
    run: str,
    out: Path,
    recipe: str,
    calibrate: str | None,
    calibrated_on: int,
    seed: int,
    keep_float: tuple[str, ...],
    ranges: str | None,
    no_bias_correction: bool,
    data: Path | None,
    split: str,
    photos: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    """Write a captioner to one file, and prove that it says what the Keras model says.

    RUN is a folder that `edgecap train` wrote or a name that `edgecap models` lists. The captions
    of the written file, greedy and by beam, are compared word for word with those of the Keras
    training graph. Below the recipe's gate no file is left, and the exit status is 2.

    Without --data or --photos the samples in the box serve, and the report says how many.

    \b
    Examples:
      edgecap export mobilenet-lstm -o captioner.tflite
      edgecap export runs/mine -o captioner.onnx --quantize dynamic-int8 --data flickr8k
      edgecap export runs/mine -o small.tflite --quantize static-int8 --calibrate holiday/
    """
    load_keras()
    from edgecap.exporting import (
        CalibrationPhotos,
        ParityImages,
        check_is_run,
        export_run,
        recipe_of,
        report_lines,
    )

    check_is_run(run)
    chosen = recipe_of(recipe)
    blocks = tuple(name for text in keep_float for name in text.split(","))
    chosen = chosen.changed(
        keep_float=(*chosen.keep_float, *blocks),
        ranges=ranges or chosen.ranges,
        bias_correction=chosen.bias_correction and not no_bias_correction,
    )
    photographs = None
    if chosen.calibrated:
        photographs = CalibrationPhotos.choose(
            given=calibrate, data=data, split=split, count=calibrated_on, seed=seed
        )
    elif calibrate is not None:
        raise OptionError(
            f"--calibrate is given but recipe {chosen.name!r} is not calibrated; leave it out, or "
            "choose a recipe that is (see `edgecap recipes`)"
        )
    images = ParityImages.choose(data=data, split=split, photos=photos, limit=limit)
    for problem in images.problems:
        ERRORS.print(f"left out {problem}", style="yellow")
    with progress_bars() as report:
        made = export_run(
            run, out, recipe=chosen, images=images, calibrate=photographs, progress=report
        )
    for problem in () if made.calibration is None else made.calibration.left_out:
        ERRORS.print(f"left out of the calibration: {problem}", style="yellow")
    if as_json:
        print_json(made.to_dict())
    else:
        click.echo("\n".join(report_lines(made, photographs)))
