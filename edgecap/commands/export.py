"""`edgecap export`: a run to one .tflite or .onnx file that is proven to say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecap.commands._calibration import calibration_options
from edgecap.console import load_keras, print_json, print_notes, print_table, progress_bars
from edgecap_export.recipe_files import recipe_of
from edgecap_export.recipes import PROCESSORS, RANGES
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap.budget import Budget, Trial
    from edgecap.exporting import CalibrationPhotos, ParityImages

_AUTO = "auto"
_BLEU_LOSS = 0.3


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
    help="Recipe, by name (see `edgecap recipes`) or from a .toml or .json file; `auto` tries all "
    "and takes the fastest inside the budget, of those as fast the smallest.",
)
@click.option(
    "--max-bleu-loss",
    type=float,
    help="Budget of `auto`: points of corpus BLEU-4 that greedy and beam captions may lose on "
    "--data; 0.3 unless said.",
)
@click.option("--max-ms", type=float, help="Budget of `auto`: milliseconds a caption, here.")
@click.option("--max-mb", type=float, help="Budget of `auto`: megabytes.")
@calibration_options(
    photographs="Photographs to calibrate a recipe on: a folder of 100 to 300, or `samples` for "
    "the few in the box. Without it the train split of --data serves.",
    count=128,
    images="Photographs to calibrate on, chosen by --seed.",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="BLOCK",
    help="A block of the encoder to leave in float32; may be repeated, or blocks separated by "
    "commas. `edgecap sensitivity` names those that hurt.",
)
@click.option(
    "--all-blocks",
    is_flag=True,
    help="Quantize also the blocks that int8 is known to hurt (of MobileNet V1 the first two); by "
    "default they stay in float32.",
)
@click.option(
    "--ranges",
    type=click.Choice(RANGES),
    help="How ranges of activations are calibrated; by default as the recipe says.",
)
@click.option(
    "--no-bias-correction",
    is_flag=True,
    help="Leave the biases as they are; by default they take back what rounding shifts.",
)
@click.option(
    "--processor",
    type=click.Choice(PROCESSORS),
    help="What the integer products of an .onnx file are to be right on: `any` (the default), or "
    "`vnni` alone, where all weights of the encoder use 8 bits. LiteRT's are right on any.",
)
@click.option(
    "--no-search",
    is_flag=True,
    help="Leave the greedy search out of the file, by which it captions faster and takes more "
    "memory; by default it is there where the decoder can have it.",
)
@click.option(
    "--one-call",
    is_flag=True,
    help="Let the search begin at the image too: one call from image to ids, in any language.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions: proves on a split of them, and compares BLEU too; "
    "calibrates on the train split.",
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
@click.option(
    "--check-photos",
    "check_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photographs of which the file carries the first four that it is neither calibrated nor "
    "proven on, small, to check itself by where it runs; by default samples in the box. Whoever "
    "gets the file can see them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the parity report as JSON.")
def export(
    run: str,
    out: Path,
    recipe: str,
    max_bleu_loss: float | None,
    max_ms: float | None,
    max_mb: float | None,
    calibrate: str | None,
    calibrated_on: int,
    seed: int,
    keep_float: tuple[str, ...],
    all_blocks: bool,
    ranges: str | None,
    no_bias_correction: bool,
    processor: str | None,
    no_search: bool,
    one_call: bool,
    data: Path | None,
    split: str,
    photos: Path | None,
    limit: int,
    check_folder: Path | None,
    as_json: bool,
) -> None:
    """Write a captioner to one file, and prove that it says what the Keras model says.

    RUN is a folder that `edgecap train` wrote or a name that `edgecap models` lists. The captions
    of the written file, greedy and by beam, are compared word for word with those of the Keras
    training graph. Below the recipe's gate no file is left, and the exit status is 2.

    Without --data or --photos the samples in the box serve, and the report says how many.

    A recipe that is calibrated (`edgecap recipes` says which are) takes photographs like those that
    it will caption: with --calibrate, or the train split of --data, never the split that is proven
    on.

    \b
    Examples:
      edgecap export mobilenet-lstm -o captioner.tflite
      edgecap export runs/mine -o captioner.onnx --quantize dynamic-int8 --data flickr8k
      edgecap export runs/mine -o small.tflite --quantize static-int8 --calibrate holiday/
      edgecap export runs/mine -o mine.onnx --quantize mine.toml --data flickr8k
      edgecap export runs/mine -o mine.tflite --one-call --data flickr8k
      edgecap export runs/mine -o best.tflite --quantize auto --max-mb 10 --data flickr8k
    """
    load_keras()
    from edgecap.budget import Budget
    from edgecap.check_photos import check_photos_in, visible
    from edgecap.exporting import (
        CalibrationPhotos,
        ParityImages,
        adjusted,
        check_is_run,
        export_run,
        remarks,
        report_lines,
    )

    def check_photos(
        images: ParityImages, photographs: CalibrationPhotos | None
    ) -> tuple[Path, ...] | None:
        if check_folder is None:
            return None
        used = [*images.paths, *(photographs.paths if photographs else ())]
        chosen = check_photos_in(check_folder, used)
        print_notes([visible(chosen)])
        return chosen

    check_is_run(run)
    limits = {"--max-bleu-loss": max_bleu_loss, "--max-ms": max_ms, "--max-mb": max_mb}
    if recipe == _AUTO:
        if data is None:
            raise OptionError(
                "--quantize auto measures BLEU; give captioned photographs with --data"
            )
        if photos is not None:
            raise OptionError(
                "--quantize auto measures BLEU on --data; leave --photos out, they have no captions"
            )
        if keep_float or all_blocks or ranges or no_bias_correction or processor:
            raise OptionError(
                "--keep-float, --all-blocks, --ranges, --no-bias-correction and --processor change "
                "one recipe, and --quantize auto tries all; name a recipe, or leave them out"
            )
        for name, given in (("--one-call", one_call), ("--no-search", no_search)):
            if given:
                raise OptionError(
                    f"{name} is for one recipe, and --quantize auto tries all; find the recipe "
                    f"with auto, then export by its name with {name}"
                )
        budget = Budget(_BLEU_LOSS if max_bleu_loss is None else max_bleu_loss, max_ms, max_mb)
        photographs = CalibrationPhotos.choose(
            given=calibrate, data=data, split=split, count=calibrated_on, seed=seed
        )
        images = ParityImages.choose(data=data, split=split, photos=None, limit=limit)
        checked = check_photos(images, photographs)
        _automatically(run, out, budget, images, photographs, checked, as_json)
        return
    for name, value in limits.items():
        if value is not None:
            raise OptionError(f"{name} is a budget of --quantize auto; give that, or leave it out")
    if no_search and one_call:
        raise OptionError(
            "--no-search and --one-call are both given, but one call is made by the search; leave "
            "one of them out"
        )
    if processor is not None and out.suffix.lower() != ".onnx":
        raise OptionError(
            f"--processor is {processor!r} for {out.name}, but it is for .onnx files alone: "
            "LiteRT's products are right on any processor; leave it out"
        )
    chosen = adjusted(
        recipe_of(recipe),
        keep_float=keep_float,
        all_blocks=all_blocks,
        ranges=ranges,
        bias_correction=not no_bias_correction,
        processor=processor,
    )
    photographs = CalibrationPhotos.of_recipe(
        chosen, given=calibrate, data=data, split=split, count=calibrated_on, seed=seed
    )
    images = ParityImages.choose(data=data, split=split, photos=photos, limit=limit)
    checked = check_photos(images, photographs)
    with progress_bars() as report:
        made = export_run(
            run,
            out,
            recipe=chosen,
            images=images,
            calibrate=photographs,
            search=False if no_search else None,
            one_call=one_call,
            check_photos=checked,
            progress=report,
        )
    print_notes(remarks(images, photographs, made.calibration))
    if as_json:
        print_json(made.to_dict())
    else:
        click.echo("\n".join(report_lines(made, photographs)))


def _automatically(
    run: str,
    out: Path,
    budget: Budget,
    images: ParityImages,
    photographs: CalibrationPhotos | None,
    check_photos: tuple[Path, ...] | None,
    as_json: bool,
) -> None:
    """Try all recipes, print what was tried, and what was written."""
    from edgecap.box import find_run
    from edgecap.budget import BudgetError, doubts
    from edgecap.captioner import TrainedCaptioner
    from edgecap.exporting import remarks, report_lines
    from edgecap.timing import OtherWork
    from edgecap.tuning import export_by_budget

    source = TrainedCaptioner.load(find_run(run)).source(check_photos)
    title = f"{run} as {out.suffix}, {len(images.paths)} photographs; budget: {budget}"
    others = OtherWork()
    try:
        with progress_bars() as report:
            made, trials = export_by_budget(
                source,
                out,
                budget,
                images=images,
                calibrate=photographs,
                others=others,
                progress=report,
            )
    except BudgetError as problem:
        print_notes([others.note()])
        tried = [asdict(trial) for trial in problem.trials]
        if as_json:
            print_json({"path": None, "budget": budget.to_dict(), "tried": tried})
        else:
            _print_trials(title, problem.trials, budget, None)
        raise
    print_notes(remarks(images, photographs, made.calibration))
    print_notes([*doubts(trials, made.recipe, budget, len(images.paths)), others.note()])
    if as_json:
        tried = [asdict(trial) for trial in trials]
        print_json({**made.to_dict(), "budget": budget.to_dict(), "tried": tried})
        return
    _print_trials(title, trials, budget, made.recipe)
    click.echo("\n".join(report_lines(made, photographs)))


def _print_trials(title: str, trials: Sequence[Trial], budget: Budget, chosen: str | None) -> None:
    """Print what was tried, then why some of it was out of the question."""
    from edgecap.budget import COLUMNS, LEGEND

    print_table(title, COLUMNS, [trial.cells(budget, chosen) for trial in trials])
    click.echo("\n".join(LEGEND))
    for trial in trials:
        if trial.reason is not None:
            click.echo(f"{trial.recipe}: {trial.reason}")
