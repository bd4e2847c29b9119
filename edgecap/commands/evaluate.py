"""`edgecap evaluate`: scores of a run or of an exported file on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecap.console import (
    ERRORS,
    load_keras,
    print_difference,
    print_json,
    print_scores,
    progress_bar,
)


@click.command()
@click.argument("captioner", metavar="RUN|FILE")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the image files, if it is not beside the captions.",
)
@click.option("--split", default="dev", show_default=True, help="Split to caption.")
@click.option(
    "--beam",
    type=int,
    help="Width of the beam, 1 is greedy; by default both greedy and the captioner's own.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Caption the first N photographs only.")
@click.option("--threads", type=int, help="Threads of the interpreter, for a FILE.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for encoder features, for a RUN."
)
@click.option(
    "--captions", type=click.Path(path_type=Path), help="Write the captions there as JSON lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def evaluate(
    captioner: str,
    data: Path,
    images: Path | None,
    split: str,
    beam: int | None,
    limit: int | None,
    threads: int | None,
    cache: Path | None,
    captions: Path | None,
    as_json: bool,
) -> None:
    """Score captions against a split's references.

    Corpus BLEU-1..4, ROUGE-L (0 to 100) and CIDEr-D (0 to 10; document frequencies from the
    references of the photographs scored) agree with the COCO caption evaluation. METEOR is by exact
    and stem matches alone, lower than in papers. Sentence-mean BLEU-1 (0 to 1) is what notebooks
    report, and no corpus BLEU. Intervals are bootstrapped over photographs; two searches are
    compared by paired bootstrap and approximate randomisation.

    \b
    Examples:
      edgecap evaluate mobilenet-lstm --data flickr8k --split dev
      edgecap evaluate captioner.tflite --data flickr8k --split dev --beam 3
    """
    if not Path(captioner).is_file():
        load_keras()
    from edgecap.data import load_dataset
    from edgecap.evaluation import (
        Evaluation,
        caption_photos,
        fault_rules,
        judged_faults,
        searches,
        write_captions,
    )

    dataset = load_dataset(data, images=images)
    for problem in dataset.problems:
        ERRORS.print(f"left out {problem.name}: {problem.reason}", style="yellow")
    photos = dataset.split(split)[:limit]
    answer: dict[str, Any] = {"captioner": captioner, "data": dataset.name, "split": split}
    said: dict[str, list[list[str]]] = {}
    evaluation = Evaluation([photo.captions for photo in photos])
    rules = fault_rules(captioner)
    with progress_bar("captioning") as report:
        for search, words in caption_photos(
            captioner,
            [photo.path for photo in photos],
            searches(beam),
            threads=threads,
            cache=cache,
            progress=report,
        ):
            said[search] = words
            answer[search] = {
                **evaluation.scores(words),
                "faults": judged_faults(words, rules),
            }
    if captions is not None:
        write_captions(captions, [photo.path for photo in photos], said)
    against = None
    if len(said) == 2:
        one, other = said
        against = f"{other} minus {one}"
        answer[against] = evaluation.difference(said[other], said[one])
    if as_json:
        print_json(answer)
        return
    print_scores(
        f"{captioner} on {dataset.name} {split}",
        {name: answer[name] for name in said},
        {name: answer[name]["faults"] for name in said},
    )
    if against is not None:
        print_difference(against, answer[against])
