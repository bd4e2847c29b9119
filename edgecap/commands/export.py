"""`edgecap export`: a run to one .tflite or .onnx file that is proven to say the same."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.console import ERRORS, load_keras, print_json, progress_bars


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
    help="Recipe: float32, or dynamic-int8 (int8 decoder weights, float encoder).",
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
    """
    load_keras()
    from edgecap.exporting import ParityImages, export_run, report_lines

    images = ParityImages.choose(data=data, split=split, photos=photos, limit=limit)
    for problem in images.problems:
        ERRORS.print(f"left out {problem}", style="yellow")
    with progress_bars() as report:
        made = export_run(run, out, recipe=recipe, images=images, progress=report)
    if as_json:
        print_json(made.to_dict())
    else:
        click.echo("\n".join(report_lines(made)))
