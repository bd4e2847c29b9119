"""What `bench/recipes.py` runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from edgecap.console import load_keras, progress_bar, run_alone
from edgecap.files import make_folder
from edgecap_runtime.errors import OptionError

__all__ = ["main", "recipes"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions: files are proven on a split of it, and calibrated "
    "on its train split.",
)
@click.option("--split", default="dev", show_default=True, help="Split to prove on.")
@click.option(
    "--images",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to prove on, at most.",
)
@click.option(
    "--calibration-images",
    "calibrated_on",
    default=128,
    show_default=True,
    type=click.IntRange(min=10),
    help="Photographs to calibrate on.",
)
@click.option(
    "--recipes",
    "names",
    help="Recipes, separated by commas; by default all. float32 is always taken, to compare with.",
)
@click.option(
    "--threads",
    default="2",
    show_default=True,
    help="Threads to time with, separated by commas.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write; without it the page goes to standard output.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file that keeps the figures; what is in it already is not measured again.",
)
@click.option(
    "--files",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps the exported files; without it they are gone at the end.",
)
@click.option(
    "--times/--no-times",
    "timed",
    default=True,
    show_default=True,
    help="Time the files; a later call with the same --record and --files can do it, when the "
    "machine is quiet.",
)
def recipes(
    runs: tuple[str, ...],
    data: Path,
    split: str,
    images: int,
    calibrated_on: int,
    names: str | None,
    threads: str,
    out: Path | None,
    record: Path | None,
    files: Path | None,
    timed: bool,
) -> None:
    """Export captioners by every recipe to .tflite and .onnx, and say what each costs.

    RUN is a folder that `edgecap train` wrote or a name that `edgecap models` lists. The exit
    status is 1 if an export fails that the format should be able to have.

    \b
    Examples:
      python bench/recipes.py mobilenet-lstm --data flickr8k --images 200
      python bench/recipes.py runs/* --data flickr8k --threads 1,2 -o docs/recipes.md
    """
    if out is not None:
        make_folder(out.parent)
    load_keras()
    from edgecap.box import find_run
    from edgecap_bench.machine import describe_machine, load_now
    from edgecap_bench.pages import load_words, write_page
    from edgecap_bench.recipes.page import recipes_page
    from edgecap_bench.recipes.survey import FLOAT, RecipeSurvey
    from edgecap_export import recipe_named, recipe_names

    chosen = recipe_names() if names is None else tuple(names.split(","))
    for name in chosen:
        recipe_named(name)
    survey = RecipeSurvey(
        runs=[find_run(run).resolve() for run in runs],
        recipes=(FLOAT, *(name for name in chosen if name != FLOAT)),
        data=data,
        split=split,
        images=images,
        calibrated_on=calibrated_on,
        threads=_counts(threads),
        record=record,
        files=files,
        timed=timed,
    )
    before = load_now()
    with progress_bar("recipes") as progress:
        rows = survey.run(progress)
    page = recipes_page(
        rows,
        command=_command(),
        split=split,
        calibrated_on=calibrated_on,
        machine=describe_machine(),
        load=load_words(before, load_now()),
    )
    write_page(page, out)
    if any("failed" in row for row in rows):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(recipes, "recipes.py")


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise OptionError(
            f"--threads is {text!r}; give whole numbers from 1 on, separated by commas"
        )
    return counts


def _command() -> str:
    """Give the command as another machine would repeat it: its folders are not this one's."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "bench/recipes.py", *words])
