"""`edgecap bench`, and what `bench/latency.py` calls."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgecap.console import ERRORS, load_keras, print_json, progress_bar, run_alone
from edgecap_bench.targets import KINDS

__all__ = ["bench", "main"]


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
    type=click.IntRange(1, 256),
    help="Threads of every library; by default the cores of the machine, at most 4.",
)
@click.option(
    "--beam",
    type=click.IntRange(1, 64),
    default=3,
    show_default=True,
    help="Width of the beam measured beside greedy search; 1 for greedy alone.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How often each target takes its turn.",
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
    default=7,
    show_default=True,
    help="Pairs of fresh processes that tell the cost of the runtime's import.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Order of the turns.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report"),
    show_default=True,
    help="Folder for report.json, report.png, the exported files and the targets' logs.",
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
    threads: int | None,
    beam: int,
    rounds: int,
    bare: bool,
    import_repeats: int,
    seed: int,
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
    """
    load_keras()
    from edgecap_bench.picture import draw_report
    from edgecap_bench.planning import plan_benchmark
    from edgecap_bench.table import print_report
    from edgecap_bench.writing import write_json

    benchmark = plan_benchmark(
        captioners,
        targets=None if targets is None else [name.strip() for name in targets.split(",")],
        photos=photos,
        data=data,
        images=images,
        split=split,
        quality_images=quality_images,
        threads=threads,
        beam=beam,
        rounds=rounds,
        bare=bare,
        import_repeats=import_repeats,
        seed=seed,
        out=out,
    )
    report = benchmark.measure(progress_bar)
    write_json(report, out / "report.json")
    draw_report(report, out / "report.png")
    if as_json:
        print_json(report)
    else:
        print_report(report)
        ERRORS.print(f"written: {out / 'report.json'} and {out / 'report.png'}", markup=False)
    if report["interrupted"]:
        sys.exit(130)
    if all(row["error"] for row in report["rows"]):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(bench, "latency.py")
