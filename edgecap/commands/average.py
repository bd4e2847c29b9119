"""`edgecap average`: one captioner from several that began alike."""

from __future__ import annotations

from pathlib import Path

import click

from edgecap.box import find_run
from edgecap.commands._options import dataset_options
from edgecap.console import how_made, load_keras, print_json, print_scores, progress_bar
from edgecap_runtime.errors import OptionError


@click.command()
@click.argument("runs", metavar="RUN[=WEIGHT]...", nargs=-1, required=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the new run; must not hold one yet.",
)
@dataset_options(split="Split to score it on.")
@click.option("--name", help="Its name; that of the first run unless given.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for encoder features of the new run."
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def average(
    runs: tuple[str, ...],
    out: Path,
    data: Path,
    images: Path | None,
    split: str,
    name: str | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Average the weights of runs that went on from one run, and score the captioner that results.

    A weight is 1 unless given. The mean of captioners that learned from scores is often better
    than each of them, and with the run that they began from in it, it says more different things.

    \b
    Examples:
      edgecap average runs/one runs/two --data flickr8k --out runs/mean
      edgecap average runs/final=0.7 runs/words=0.3 --data flickr8k --out runs/mean
    """
    parts = [_part(word) for word in runs]
    if (out / "run.json").exists():
        raise OptionError(f"{str(out)!r} holds a run already; choose another --out")
    load_keras()
    from edgecap.averaging import average_runs, score_average
    from edgecap.data import load_dataset

    captioner = average_runs(parts, name=name, provenance=how_made("averaged_on"))
    dataset = load_dataset(data, images=images)
    with progress_bar(f"scoring {split}") as report:
        scores = score_average(captioner, dataset, split, cache=cache, progress=report)
    captioner.save(out)
    if as_json:
        print_json(scores)
    else:
        print_scores(f"{out}: {split} of {dataset.name}", scores["dev"])


def _part(word: str) -> tuple[Path, float]:
    """Take RUN or RUN=WEIGHT apart; a folder whose name has a = in it goes before a weight."""
    run, sign, weight = word.rpartition("=")
    if not sign or Path(word).is_dir():
        return find_run(word), 1.0
    try:
        return find_run(run), float(weight)
    except ValueError:
        raise OptionError(
            f"{word!r} gives {weight!r} as the weight of {run!r}; give a number above 0"
        ) from None
