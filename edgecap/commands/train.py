"""`edgecap train`: from a folder of photographs with captions to a captioner in Keras form."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from edgecap.console import ERRORS, how_made, load_keras, print_json, print_scores, progress_bars
from edgecap_runtime.errors import OptionError
from edgecap_runtime.options import search_name


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with photographs and captions (Flickr8k, Karpathy, COCO, CSV or JSONL layout).",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the image files, if it is not beside the captions.",
)
@click.option("--encoder", help="Encoder family; mobilenet by default, or that of --from.")
@click.option(
    "--encoder-weights",
    default="imagenet",
    show_default=True,
    help="'imagenet' (downloaded), a Keras weights file of the network without its classifier, or "
    "a run or a captioner in the box, whose encoder is taken.",
)
@click.option("--decoder", help="Decoder family; lstm by default, or that of --from.")
@click.option(
    "--from",
    "begun_from",
    metavar="RUN",
    help="Begin with the weights, words and preparation of this run, or captioner in the box.",
)
@click.option(
    "--teacher",
    "teachers",
    metavar="RUN",
    multiple=True,
    help="Learn words from the answers of this run, or captioner in the box, too (see "
    "training.teaching). May be repeated.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the run; must be new unless --resume is given.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the training in --out from its last checkpoint."
)
@click.option("--name", help="The captioner's name; by default encoder-decoder.")
@click.option(
    "--minimum-count",
    default=5,
    show_default=True,
    help="Times a word must occur in the training captions to be learned.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PART.OPTION=VALUE",
    help="Change a setting of the encoder, decoder or training, e.g. decoder.units=256, "
    "encoder.width=0.5. May be repeated.",
)
@click.option("--epochs", type=int, help="Short for --set training.epochs=N.")
@click.option("--seed", type=int, help="Short for --set training.seed=N.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder for encoder features; by default in the user's cache folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the final dev scores as JSON.")
def train(
    data: Path,
    images: Path | None,
    encoder: str | None,
    encoder_weights: str,
    decoder: str | None,
    begun_from: str | None,
    teachers: tuple[str, ...],
    out: Path,
    resume: bool,
    name: str | None,
    minimum_count: int,
    settings: tuple[str, ...],
    epochs: int | None,
    seed: int | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Train a captioner.

    The encoder's features are computed once and cached, and the decoder learns from them, first
    words one by one, then from the scores of whole captions. Between the two the encoder learns
    too, for training.tune_epochs; by default it stays as it is. After each epoch dev is captioned
    and scored, the best epoch is kept, and a checkpoint is written: a training that was stopped
    goes on with --resume.

    \b
    Examples:
      edgecap train --data flickr8k --encoder mobilenet --decoder lstm --out runs/mobilenet-lstm
      edgecap train --data flickr8k --from runs/mobilenet-lstm --out runs/tuned \\
          --set training.epochs=0 --set training.tune_epochs=4
    """
    settings += tuple(
        f"training.{option}={value}"
        for option, value in (("epochs", epochs), ("seed", seed))
        if value is not None
    )
    checkpoint = out / "checkpoint.npz"
    if checkpoint.exists() and not resume:
        raise OptionError(
            f"{str(out)!r} holds a training already; go on with it by --resume, or choose "
            "another --out"
        )
    if resume and not checkpoint.exists():
        raise OptionError(
            f"{str(out)!r} holds no checkpoint to resume from; leave --resume out to begin"
        )

    from edgecap.box import captioners, find_run

    # A file or folder of that name goes before a captioner in the box.
    if not Path(encoder_weights).exists():
        encoder_weights = str(captioners().get(encoder_weights, encoder_weights))
    begun_from_run = None if begun_from is None else find_run(begun_from)
    teacher_runs = tuple(find_run(teacher) for teacher in teachers)
    load_keras()
    from edgecap.training.session import TrainingSession

    session = TrainingSession.open(
        data,
        images=images,
        encoder=encoder,
        decoder=decoder,
        settings=settings,
        minimum_count=minimum_count,
        name=name,
        begun_from=begun_from_run,
        teachers=teacher_runs,
        provenance=how_made("trained"),
    )
    for problem in session.dataset.problems:
        ERRORS.print(f"left out {problem.name}: {problem.reason}", style="yellow")
    for note in session.dataset.notes:
        ERRORS.print(f"note: {note}")
    with progress_bars() as report:
        session.encode(
            encoder_weights,
            cache=cache,
            progress=functools.partial(report, "encoding photographs"),
        )
        trainer = session.trainer(out)
        if resume:
            trainer.resume()
            ERRORS.print(f"going on after epoch {len(trainer.history)}")
        trainer.run(
            on_batch=lambda epoch, done, total: report(
                "training", (epoch - 1) * total + done, total * session.options.all_epochs
            ),
            on_epoch=lambda epoch: _say(epoch, session, out, trainer),
        )
        scores = session.finish(out, trainer, progress=functools.partial(report, "scoring dev"))
    if as_json:
        print_json(scores)
    else:
        title = f"{out}: dev of {session.dataset.name}, best epoch {scores['best_epoch']}"
        print_scores(title, scores["dev"])


def _say(epoch: Any, session: Any, out: Path, trainer: Any) -> None:
    """Tell one epoch's figures and draw the curve anew."""
    from edgecap.training.curve import write_curve

    search = search_name(session.options.dev_beam)
    write_curve(trainer.history, out, search)
    bleu = " / ".join(f"{value:.1f}" for value in epoch.bleu)
    learned = f"reward {epoch.reward:.3f}" if epoch.loss is None else f"loss {epoch.loss:.3f}"
    ERRORS.print(
        f"epoch {epoch.epoch:2d}  {learned}  dev corpus BLEU-1..4 ({search}) {bleu}  "
        f"{epoch.seconds:.0f} s"
    )
