"""What `bench/processors.py` runs."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from edgecap.console import load_keras, progress_bar, run_alone
from edgecap.files import make_folder
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError

__all__ = ["main", "processors"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--recipes", "recipes", help="Recipes, separated by commas; by default all.")
@click.option("--formats", default=".tflite,.onnx", show_default=True, help="Formats.")
@click.option(
    "--processors",
    "names",
    help="Processors, separated by commas; by default all. The exporting machine, native, is "
    "always taken, to compare with.",
)
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="Folder of photographs to caption; by default the samples in the box.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions: those of a split are captioned, and recipes are "
    "calibrated on its train split instead of the samples.",
)
@click.option("--split", default="dev", show_default=True, help="Split of --data to caption.")
@click.option(
    "--images",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to caption, at most.",
)
@click.option(
    "--emulated-images",
    default=4,
    show_default=True,
    type=click.IntRange(min=1),
    help="Photographs to caption where the processor is emulated, at most: a caption takes seconds "
    "there.",
)
@click.option(
    "--threads",
    default=2,
    show_default=True,
    type=click.IntRange(1, 256),
    help="The interpreters' threads where the processor is not emulated.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Emulated processors that run at the same time; by default the cores of the machine.",
)
@click.option(
    "--timeout",
    "timeout_s",
    default=3600.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Longest time of a row, in seconds.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps files and results, by which an interrupted command goes on; after a "
    "change of the code take another one. Without it they are gone at the end.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file for the figures.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write; without it the page goes to standard output.",
)
def processors(
    runs: tuple[str, ...],
    recipes: str | None,
    formats: str,
    names: str | None,
    photos: Path | None,
    data: Path | None,
    split: str,
    images: int,
    emulated_images: int,
    threads: int,
    jobs: int | None,
    timeout_s: float,
    work: Path | None,
    json_file: Path | None,
    out: Path | None,
) -> None:
    """Export captioners by every recipe, and compare what the files say on many processors.

    RUN is a folder that `edgecap train` wrote or a name that `edgecap models` lists. Processors:
    native; this machine with features hidden (masked-avx-vnni, masked-haswell, masked-nehalem);
    emulated by qemu (haswell, nehalem, cortex-a53, cortex-a72, cortex-a76); Chromium (wasm). Those
    that can't be had here are listed with the reason. The exit status is 1 if an export or a row
    fails; the others are taken all the same.

    \b
    Examples:
      python bench/processors.py nano --recipes float32,static-int8 --processors haswell
      python bench/processors.py nano --data flickr8k --work work -o docs/processors.md
    """
    for path in (out, json_file):
        if path is not None:
            make_folder(path.parent)
    from edgecap.box import find_run
    from edgecap_bench.machine import describe_machine, load_now
    from edgecap_bench.pages import load_words, write_page
    from edgecap_bench.processors.page import processors_page
    from edgecap_bench.processors.saying import PLACES, place_named
    from edgecap_bench.processors.survey import FORMATS, ProcessorSurvey
    from edgecap_export import recipe_named, recipe_names

    # What is named wrongly is told before Keras is loaded.
    chosen = recipe_names() if recipes is None else tuple(recipes.split(","))
    for name in chosen:
        recipe_named(name)
    places = list(PLACES.values()) if names is None else [*map(place_named, names.split(","))]
    chosen_formats = _formats(formats, FORMATS)
    folders = [find_run(run).resolve() for run in runs]
    for folder in folders:
        if sum(folder.name == other.name for other in folders) > 1:
            raise OptionError(f"two captioners are called {folder.name!r}; rename a folder")
    load_keras()
    from edgecap.exporting import SAMPLES, CalibrationPhotos, ParityImages

    calibrate = CalibrationPhotos.choose(
        given=None if data is not None else SAMPLES, data=data, split=split, count=128, seed=0
    )
    if calibrate is None:
        raise OptionError(
            f"--data {str(data)!r} has no train split to calibrate on besides the split {split!r}; "
            "give another --split, or --photos with a folder"
        )
    chosen_images = ParityImages.choose(data=data, split=split, photos=photos, limit=images)
    before, machine = load_now(), describe_machine()
    with contextlib.ExitStack() as closing:
        if work is None:
            made = tempfile.TemporaryDirectory(prefix="edgecap-processors-")
            work = Path(closing.enter_context(made))
        survey = ProcessorSurvey(
            runs=folders,
            recipes=chosen,
            formats=chosen_formats,
            places=places,
            photos=chosen_images.paths[:images],
            calibrate=calibrate.paths,
            emulated_images=emulated_images,
            threads=threads,
            jobs=jobs or os.cpu_count() or 1,
            timeout_s=timeout_s,
            work=work,
        )
        with progress_bar("processors") as progress:
            found = survey.run(progress)
    result = {
        "captioners": [run.name for run in survey.runs],
        "recipes": list(survey.recipes),
        "formats": list(survey.formats),
        "about": {name: found.captioners[name] for name in (run.name for run in survey.runs)},
        "processors": [
            {
                "name": place.name,
                "title": place.title,
                "how": place.how,
                "formats": list(place.formats),
                "missing": place.missing(),
            }
            for place in dict.fromkeys([PLACES["native"], *places])
        ],
        "files": found.files,
        "rows": found.rows,
        "photographs": _photographs(len(survey.photos), data, split, photos),
        "calibration": calibrate.said if data is None else "photographs of its train split, seed 0",
        "emulated_images": emulated_images,
        "threads": threads,
        "machine": machine,
        "load": load_words(before, load_now()),
        "command": _command(),
    }
    if json_file is not None:
        with replacing(json_file) as stream:
            stream.write(json.dumps(result, indent=1).encode())
    write_page(processors_page(result), out)
    if any("failed" in item for item in (*found.files, *found.rows)):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(processors, "processors.py")


def _photographs(count: int, data: Path | None, split: str, folder: Path | None) -> str:
    """Say which photographs were captioned."""
    if data is not None:
        return f"{count} photographs of the {split} split of {data.name}"
    if folder is not None:
        return f"{count} photographs of {folder.name}"
    return f"the {count} sample photographs in the box"


def _formats(text: str, known: Sequence[str]) -> list[str]:
    found = text.split(",")
    for name in found:
        if name not in known:
            raise OptionError(
                f"--formats has {name!r}; give some of {', '.join(known)}, separated by commas"
            )
    return found


def _command() -> str:
    """Return the command as another machine would repeat it: its folders are not this one's."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "bench/processors.py", *words])
