"""`edgecap search`: which search a captioner should have by default."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from edgecap.commands._options import dataset_options
from edgecap.commands.numbers import Numbers
from edgecap.console import ERRORS, load_keras, print_json, print_table, progress_bars


@click.command()
@click.argument("run", metavar="RUN")
@dataset_options(split="Split to choose on.")
@click.option("--limit", type=click.IntRange(min=1), help="Its first N photographs only.")
@click.option(
    "--beams", default="1,2,3,5", show_default=True, type=Numbers(1, 64), help="Widths to try."
)
@click.option(
    "--penalties",
    default="0,0.5,0.7,1",
    show_default=True,
    type=Numbers(0, 10, whole=False),
    help="Length penalties to try with each width but 1.",
)
@click.option(
    "--ngrams",
    type=Numbers(0, 20),
    default=(),
    help="Lengths of word sequences that no caption may say twice, 0 for any, to try with each; "
    "the run's own if not given.",
)
@click.option(
    "--by",
    "judge",
    default="bleu-4",
    show_default=True,
    type=click.Choice(["bleu-4", "cider-d"]),
    help="What the best one is chosen by.",
)
@click.option("--store", is_flag=True, help="Make the best one the run's own.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for encoder features of the run."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def search(
    run: str,
    data: Path,
    images: Path | None,
    split: str,
    limit: int | None,
    beams: tuple[int, ...],
    penalties: tuple[float, ...],
    ngrams: tuple[int, ...],
    judge: str,
    store: bool,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Try searches of many widths and length penalties on a split, and choose one.

    A search whose captions break a limit of `edgecap evaluate` is not chosen where another keeps
    to all, and a wider beam only where it is better by more than a tenth of a point. With --store
    it becomes what RUN's captions are searched by unless told otherwise, and what files that are
    exported from then on hold.

    \b
    Examples:
      edgecap search runs/mine --data flickr8k
      edgecap search runs/mine --data flickr8k --beams 1,3 --ngrams 0,3 --by cider-d --store
    """
    load_keras()
    from edgecap.box import find_run
    from edgecap.captioner import TrainedCaptioner, write_design
    from edgecap.data import load_dataset
    from edgecap.evaluation import fault_rules
    from edgecap.exporting import check_is_run
    from edgecap.inference import KerasCaptions
    from edgecap.searches import best_search, grid, try_searches

    check_is_run(run)
    folder = find_run(run)
    captioner = TrainedCaptioner.load(folder)
    design = captioner.design
    searches = grid(design.defaults, beams, penalties, ngrams)
    dataset = load_dataset(data, images=images)
    photos = dataset.split(split)[:limit]
    with progress_bars() as report:
        features = captioner.features(
            [photo.path for photo in photos],
            cache=cache,
            progress=lambda done, total: report("photographs", done, total),
        )
        tried = list(
            try_searches(
                KerasCaptions(captioner.decoder, design.vocabulary),
                features,
                [photo.captions for photo in photos],
                searches,
                fault_rules(folder),
                lambda done, total: report("captions", done, total),
            )
        )
    best = best_search(tried, judge)
    if store:
        chosen: dict[str, Any] = {
            "data": dataset.name,
            "split": split,
            "photographs": len(photos),
            "by": judge,
            "tried": [one.to_dict() for one in tried],
        }
        write_design(
            dataclasses.replace(
                design,
                defaults=best.options,
                provenance={**design.provenance, "search": chosen},
            ),
            folder,
        )
    if as_json:
        print_json({"tried": [one.to_dict() for one in tried], "best": best.to_dict()})
        return
    print_table(
        f"{run} on {dataset.name} {split}, {len(photos)} photographs",
        ("search", "BLEU-1/2/3/4", "CIDEr-D", "unlike", "words", "limits broken"),
        [
            (
                f"{one.name} *" if one is best else one.name,
                " / ".join(f"{score:.1f}" for score in one.bleu),
                f"{one.cider_d:.3f}",
                str(one.different),
                f"{one.mean_words:.1f}",
                ", ".join(one.broken) or "-",
            )
            for one in tried
        ],
        tight=True,
    )
    then = f"stored in {folder}" if store else "--store makes it the run's own"
    ERRORS.print(f"best by {judge}: {best.name}; {then}", markup=False, soft_wrap=True)
