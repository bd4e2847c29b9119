"""`edgecap evaluate`: scores of runs and of exported files on a split."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecap.commands._options import dataset_options
from edgecap.console import (
    ERRORS,
    load_keras,
    print_difference,
    print_json,
    print_scores,
    progress_bar,
    progress_bars,
)
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap.evaluation import Evaluated, Evaluation


@click.command()
@click.argument("captioners", metavar="RUN|FILE...", nargs=-1, required=True)
@dataset_options(split="Split to caption.")
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
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page to look at: up to 100 of the photographs with references and captions side "
    "by side. It holds the photographs; mind their terms.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def evaluate(
    captioners: tuple[str, ...],
    data: Path,
    images: Path | None,
    split: str,
    beam: int | None,
    limit: int | None,
    threads: int | None,
    cache: Path | None,
    captions: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Score captions against a split's references.

    Corpus BLEU-1..4, ROUGE-L (0 to 100) and CIDEr-D (0 to 10; document frequencies from the
    references of the photographs scored) agree with the COCO caption evaluation. METEOR is by exact
    and stem matches alone, lower than in papers. Sentence-mean BLEU-1 (0 to 1) is what notebooks
    report, and no corpus BLEU. Intervals are bootstrapped over photographs; two searches are
    compared by paired bootstrap and approximate randomisation. Faults of the captions (an unknown
    word, an open end, a doubled word, a cut, sameness) are held to limits.

    Several captioners are compared with the first, search by search.

    \b
    Examples:
      edgecap evaluate mobilenet-lstm --data flickr8k --split dev
      edgecap evaluate captioner.tflite --data flickr8k --split dev --beam 3
      edgecap evaluate float32.tflite int8.tflite --data flickr8k --html page.html
    """
    if len(set(captioners)) < len(captioners):
        raise OptionError("a captioner is given twice; give each once, or another one")
    if not all(Path(captioner).is_file() for captioner in captioners):
        load_keras()
    from edgecap.data import load_dataset
    from edgecap.evaluation import Evaluation, searches, write_captions

    dataset = load_dataset(data, images=images)
    for problem in dataset.problems:
        ERRORS.print(f"left out {problem.name}: {problem.reason}", style="yellow")
    photos = dataset.split(split)[:limit]
    paths = [photo.path for photo in photos]
    evaluation = Evaluation([photo.captions for photo in photos])
    evaluated: list[Evaluated] = []
    with progress_bars() as report:
        for captioner, name in zip(captioners, _names(captioners), strict=True):
            found = _evaluate(
                captioner,
                name,
                evaluation,
                paths,
                searches(beam),
                evaluated[0] if evaluated else None,
                functools.partial(report, f"captioning by {name}"),
                threads=threads,
                cache=cache,
            )
            evaluated.append(found)
    several = len(evaluated) > 1
    if captions is not None:
        said = {
            f"{each.name}, {search}" if several else search: words
            for each in evaluated
            for search, words in each.words.items()
        }
        write_captions(captions, paths, said)
    title = f"{dataset.name} {split}"
    if page is not None:
        _write_page(page, title, evaluated, paths, [photo.captions for photo in photos])
    answers = [
        {"captioner": captioner, "data": dataset.name, "split": split, **each.scores, **each.apart}
        for captioner, each in zip(captioners, evaluated, strict=True)
    ]
    if as_json:
        print_json(answers if several else answers[0])
        return
    for captioner, each in zip(captioners, evaluated, strict=True):
        faults = {search: scores["faults"] for search, scores in each.scores.items()}
        print_scores(f"{captioner} on {title}", each.scores, faults)
        for what, apart in each.apart.items():
            print_difference(f"{each.name}: {what}" if several else what, apart)


def _names(captioners: Sequence[str]) -> list[str]:
    """Give each a short name that is its own alone."""
    short = [Path(captioner).name or captioner for captioner in captioners]
    return short if len(set(short)) == len(short) else list(captioners)


def _evaluate(
    captioner: str,
    name: str,
    evaluation: Evaluation,
    photos: Sequence[Path],
    beams: Sequence[int | None],
    first: Evaluated | None,
    progress: Callable[[int, int], None],
    **options: Any,
) -> Evaluated:
    """Caption and score; compared are the captioner's two searches, and it with the first one."""
    from edgecap.evaluation import Evaluated, caption_photos, fault_rules, judged_faults

    rules = fault_rules(captioner)
    words: dict[str, list[list[str]]] = {}
    scores: dict[str, Any] = {}
    for search, said in caption_photos(captioner, photos, beams, progress=progress, **options):
        words[search] = said
        scores[search] = {**evaluation.scores(said), "faults": judged_faults(said, rules)}
    apart = {}
    if len(words) == 2:
        one, other = words
        apart[f"{other} minus {one}"] = evaluation.difference(words[other], words[one])
    if first is not None:
        apart |= {
            f"{search} minus {first.name}": evaluation.difference(said, first.words[search])
            for search, said in words.items()
            if search in first.words
        }
    return Evaluated(name, words, scores, apart)


def _write_page(
    page: Path,
    title: str,
    evaluated: Sequence[Evaluated],
    photos: Sequence[Path],
    references: Sequence[Sequence[Sequence[str]]],
) -> None:
    from edgecap.html.captions import captions_page
    from edgecap_runtime.atomic import replacing

    names = ", ".join(each.name for each in evaluated)
    with progress_bar("making the page") as report:
        text = captions_page(f"{names} on {title}", evaluated, photos, references, report)
    with replacing(page) as stream:
        stream.write(text.encode())
    ERRORS.print(f"written: {page}", markup=False, soft_wrap=True)
