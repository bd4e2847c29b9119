"""`edgecap bench`, and what `bench/latency.py` calls."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from edgecap.commands.numbers import Numbers
from edgecap.console import ERRORS, load_keras, print_json, progress_bar, run_alone
from edgecap_bench.targets import KINDS

__all__ = ["bench", "main"]

_QUICK_PHOTOS = 5
_QUICK_IMAGES = 50


def _describe_targets() -> str:
    """Say what kinds of targets there are."""
    return "; ".join(
        f"{name}: {kind.description}"
        + (f", by default as {', '.join(kind.usual)}" if kind.usual else "")
        for name, kind in KINDS.items()
    )


@click.command()
@click.argument("captioners", metavar="RUN|FILE...", nargs=-1, required=True)
@click.option(
    "--targets",
    metavar="NAME,...",
    help=f"What a RUN is measured as; by default every kind. {_describe_targets()}.",
)
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="Folder of photographs (or one photograph) to time; by default edgecap's samples.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Dataset for corpus BLEU, untimed. Its train split calibrates the recipes that want it; "
    "without one edgecap's samples do.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the dataset's image files, if it is not beside the captions.",
)
@click.option(
    "--split", default="dev", show_default=True, help="Split of the dataset that is scored."
)
@click.option(
    "--quality-images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score the split's first N images only.",
)
@click.option(
    "--threads",
    type=Numbers(1, 256),
    metavar="N,...",
    help="Threads of every library, several numbers with commas between: targets are measured "
    "with each. By default the cores of the machine, at most 4.",
)
@click.option(
    "--beam",
    "beams",
    type=Numbers(1, 64),
    metavar="N,...",
    default="3",
    show_default=True,
    help="Widths of the beams measured beside greedy search; 1 for greedy alone.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help="How often each target takes its turn; 10, or 3 with --quick. Noisy ones take up to "
    "twice as many.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="About a minute for a few targets: five photographs, three rounds.",
)
@click.option(
    "--bare/--no-bare",
    default=True,
    show_default=True,
    help="Measure the bare interpreter on each file too.",
)
@click.option(
    "--import-repeats",
    type=click.IntRange(min=0),
    help="Pairs of fresh processes that tell the cost of the runtime's import; 7, or none with "
    "--quick.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Order of the turns.")
@click.option(
    "--merge",
    "recordings",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Rows recorded on another device, by this benchmark or by `edgecap-runtime bench --json`; "
    "may be repeated.",
)
@click.option(
    "--remote",
    "remotes",
    multiple=True,
    metavar="USER@HOST",
    help="Measure the exported files there too, by ssh and `edgecap-runtime bench`.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the interrupted run that is in the folder of -o."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report"),
    show_default=True,
    help="Folder for report.html, .json, .csv and .png, the exported files and the targets' logs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def bench(
    captioners: tuple[str, ...],
    targets: str | None,
    photos: Path | None,
    data: Path | None,
    images: Path | None,
    split: str,
    quality_images: int | None,
    threads: tuple[int, ...] | None,
    beams: tuple[int, ...],
    rounds: int | None,
    quick: bool,
    bare: bool,
    import_repeats: int | None,
    seed: int,
    recordings: tuple[str, ...],
    remotes: tuple[str, ...],
    resume: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Time a captioner's targets against each other on this machine.

    A RUN (a folder, or a name that `edgecap models` lists) is exported to each target first;
    exported FILEs are taken as they are. Each target runs in a process of its own, all with the
    same number of threads, and they take turns in rounds of random order.

    \b
    Examples:
      edgecap bench mobilenet-lstm -o report/
      edgecap bench captioner.tflite captioner.onnx --photos holiday/ --beam 3
      edgecap bench RUN --targets keras,tflite:dynamic-int8 --data flickr8k --quality-images 200
      edgecap bench RUN --threads 1,2 --beam 1,3 --merge "Raspberry Pi 5=pi.json" -o report/
    """
    load_keras()
    from edgecap_bench.benchmark import QUICK, Effort
    from edgecap_bench.merging import merged, read_recording
    from edgecap_bench.planning import plan_benchmark
    from edgecap_bench.remote import measure_remotely
    from edgecap_bench.table import print_report
    from edgecap_bench.writing import write_report

    # Before hours of measuring, not after.
    known = [read_recording(text) for text in recordings]
    effort = QUICK if quick else Effort()
    if rounds is not None:
        effort = replace(effort, rounds=rounds, most_rounds=(1 if quick else 2) * rounds)
    if import_repeats is not None:
        effort = replace(effort, import_repeats=import_repeats)
    if quick and data is not None and quality_images is None:
        quality_images = _QUICK_IMAGES
    benchmark = plan_benchmark(
        captioners,
        targets=None if targets is None else [name.strip() for name in targets.split(",")],
        photos=photos,
        data=data,
        images=images,
        split=split,
        quality_images=quality_images,
        threads=threads,
        beams=beams,
        effort=effort,
        bare=bare,
        seed=seed,
        out=out,
        resume=resume,
    )
    if quick:
        benchmark = replace(benchmark, photos=benchmark.photos[:_QUICK_PHOTOS])
    report = benchmark.measure(progress_bar)
    for host in () if report["interrupted"] else remotes:
        with progress_bar(f"measuring on {host}") as progress:
            known.append(measure_remotely(host, report, out, threads, progress))
    report = merged(report, known)
    write_report(report, out)
    if as_json:
        print_json(report)
    else:
        print_report(report)
        ERRORS.print(f"written: {out / 'report.html'}, .json, .csv and .png", markup=False)
    if report["interrupted"]:
        ERRORS.print("the same command with --resume goes on", markup=False)
        sys.exit(130)
    if all(row["error"] for row in report["rows"]):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(bench, "latency.py")
