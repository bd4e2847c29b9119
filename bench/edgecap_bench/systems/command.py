"""What `bench/systems.py` runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecap.console import ERRORS, load_keras, progress_bar, run_alone
from edgecap.files import make_folder

if TYPE_CHECKING:
    from edgecap_bench.systems.survey import Outcome

__all__ = ["main", "systems"]


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write; without it the page goes to standard output.",
)
@click.option(
    "--encoder-weights-dir",
    type=click.Path(path_type=Path),
    help="Folder of Keras weights without classifier, named ENCODER_WIDTH_SIZE_notop.weights.h5 "
    "or ENCODER_notop.weights.h5; encoders without a file there get random weights.",
)
@click.option(
    "--quick", is_flag=True, help="Small decoders with few words, timed once: a few minutes."
)
@click.option(
    "--only",
    multiple=True,
    metavar="ENCODER:DECODER",
    help="Take these combinations alone; * stands for any. May be repeated.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what became of each system in this file, and don't take again what holds there: "
    "an interrupted command goes on, and parts taken by --only come together.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="The interpreters' threads; by default the cores of the machine, at most 4.",
)
def systems(
    out: Path | None,
    encoder_weights_dir: Path | None,
    quick: bool,
    only: tuple[str, ...],
    record: Path | None,
    threads: int | None,
) -> None:
    """Take every encoder with every decoder all the way to .tflite and .onnx, and say how it went.

    Each is trained on the sample photographs until it says the caption of each, exported,
    compared with Keras word for word, and timed. The exit status is 1 if any row fails; the
    others are taken all the same.

    \b
    Examples:
      python bench/systems.py --quick --only mobilenet:*
      python bench/systems.py -o docs/systems.md --encoder-weights-dir WEIGHTS
    """
    if out is not None:
        make_folder(out.parent)
    load_keras()
    from edgecap_bench.machine import describe_machine, load_now
    from edgecap_bench.pages import load_words, write_page
    from edgecap_bench.systems.combinations import choose_systems
    from edgecap_bench.systems.page import outcome_line, systems_page
    from edgecap_bench.systems.record import SystemsRecord
    from edgecap_bench.systems.survey import Survey
    from edgecap_runtime.backends import default_threads

    survey = Survey(choose_systems(only), encoder_weights_dir, quick, threads or default_threads())
    before, machine = load_now(), describe_machine()
    kept = record and SystemsRecord(
        record, {"quick": quick, "threads": survey.threads, "machine": machine}
    )

    def tell(outcome: Outcome) -> None:
        ERRORS.print(outcome_line(outcome), markup=False, soft_wrap=True)

    with progress_bar("systems") as progress:
        outcomes = survey.run(
            progress,
            tell,
            known=kept.read() if kept else (),
            keep=kept.write if kept else None,
        )
    page = systems_page(
        outcomes,
        command=_command(out, encoder_weights_dir, quick, only, threads),
        threads=survey.threads,
        machine=machine,
        load=load_words(before, load_now()),
    )
    write_page(page, out)
    if any(outcome.problems for outcome in outcomes):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(systems, "systems.py")


def _command(
    out: Path | None, folder: Path | None, quick: bool, only: tuple[str, ...], threads: int | None
) -> str:
    """Give the command as another machine would repeat it: its folders are not this one's."""
    words = ["python", "bench/systems.py"]
    if out is not None:
        words += ["-o", out.name if out.is_absolute() else str(out)]
    if folder is not None:
        words += ["--encoder-weights-dir", "WEIGHTS"]
    words += ["--quick"] if quick else []
    for pair in only:
        words += ["--only", pair]
    words += [] if threads is None else ["--threads", str(threads)]
    return shlex.join(words)
