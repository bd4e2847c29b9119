"""`edgecap runs`: trainings side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edgecap.console import print_json, print_table
from edgecap.encoders import EncoderOptions
from edgecap.markdown import markdown_table
from edgecap.record import Record
from edgecap.settings import with_defaults
from edgecap.training.options import TrainingOptions
from edgecap_runtime.errors import OptionError

_COLUMNS = ("run", "learned", "differs in", "min", "BLEU-1/2/3/4", "CIDEr-D", "unlike")
_TEXTS = 3
_PHASES = {"words": "epochs", "encoder": "tune_epochs", "captions": "reward_epochs"}
"""The setting that has each phase's epochs."""

_NOT_MEANS = (*_PHASES.values(), "patience", "seed")
"""Settings that "learned" tells already, or that are no means to an end."""


@click.command()
@click.argument(
    "runs",
    metavar="RUN...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--greedy/--default", default=True, help="Which search's dev scores; greedy if none.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def runs(runs: tuple[Path, ...], greedy: bool, markdown: bool, as_json: bool) -> None:
    """Compare trainings: what each learned from, its settings, time and dev scores.

    A RUN is a folder that `edgecap train` wrote. The first is what the others' settings are
    compared with. "Learned" counts epochs of words, encoder and captions (w, e, c), those of
    the runs that were begun from too (of a mean, the most that one of its runs has), and so do the
    minutes. Scores are corpus BLEU and CIDEr-D of the best epoch on dev, "unlike" the captions that
    differ from each other.

    \b
    Examples:
      edgecap runs runs/words runs/tuned runs/final
      edgecap runs --markdown runs/* > ablation.md
    """
    records = [Record.of_run(folder) for folder in runs]
    rows = [
        _row(folder, record, records[0], greedy)
        for folder, record in zip(runs, records, strict=True)
    ]
    if as_json:
        print_json(rows)
    elif markdown:
        lines = markdown_table(_COLUMNS, [_cells(row) for row in rows], texts=_TEXTS)
        click.echo("\n".join(lines))
    else:
        search = "greedy" if greedy else "the run's own search"
        title = f"trainings: scores on dev, {search}"
        print_table(title, _COLUMNS, [_cells(row) for row in rows], tight=True, texts=_TEXTS)


def _row(folder: Path, record: Record, first: Record, greedy: bool) -> dict[str, Any]:
    """Give what is known of one run, for JSON."""
    made = record.provenance
    scores = made.get("scores")
    if scores is None:
        raise OptionError(
            f"the training in {str(folder)!r} is not finished; finish it with --resume, or leave "
            "it out"
        )
    dev = scores["dev"]
    # Greedy search stands first; a run whose own search is greedy has no other.
    search = "greedy" if greedy else list(dev)[-1]
    return {
        "run": folder.resolve().name,
        "teachers": [teacher["name"] for teacher in made.get("teachers", ())],
        "averaged": {part["run"]: part["share"] for part in made.get("averaged", ())},
        "epochs": _epochs(record),
        "differs": _differences(record, first),
        "minutes": round(record.seconds / 60, 1),
        "search": search,
        "scores": dev[search],
        "commands": record.commands,
    }


def _epochs(record: Record) -> dict[str, int]:
    """Count the epochs of each phase, those of the runs that were begun from too."""
    made = record.provenance
    own = Counter(epoch["phase"] for epoch in record.curve) or _planned(made)
    counts = own + _epochs_before(made)
    return {phase: counts[phase] for phase in _PHASES if counts[phase]}


def _planned(made: Mapping[str, Any]) -> Counter[str]:
    """Give the epochs that a run was to have at most, where its curve is not kept."""
    training = made.get("training", {})
    return Counter({phase: training.get(setting, 0) for phase, setting in _PHASES.items()})


def _epochs_before(made: Mapping[str, Any]) -> Counter[str]:
    """Count the epochs of the runs that one was begun from, or that a mean is of."""
    before = [made["begun_from"]] if made.get("begun_from") else made.get("averaged", ())
    most: Counter[str] = Counter()
    for each in before:
        # The runs of a mean went on from one run, whose epochs all of them have.
        most |= _planned(each) + _epochs_before(each)
    return most


def _differences(record: Record, first: Record) -> dict[str, Any]:
    """Give the settings that `first` has not, or has otherwise."""

    def settings(each: Record) -> dict[str, Any]:
        # A mean of runs was not trained itself.
        training = each.provenance.get("training", {})
        training = with_defaults(training, TrainingOptions()) if training else {}
        parts = {
            "encoder": with_defaults(each.encoder, EncoderOptions()),
            "decoder": each.decoder,
            "training": {name: value for name, value in training.items() if name not in _NOT_MEANS},
        }
        return {f"{part}.{name}": value for part in parts for name, value in parts[part].items()}

    known = settings(first)
    return {name: value for name, value in settings(record).items() if known.get(name) != value}


def _cells(row: Mapping[str, Any]) -> list[str]:
    learned = "+".join(f"{count}{phase[0]}" for phase, count in row["epochs"].items())
    changed = {name.split(".", 1)[-1]: value for name, value in row["differs"].items()}
    differs = [f"{name} {_short(value)}" for name, value in changed.items()]
    differs += [f"teacher {teacher}" for teacher in row["teachers"]]
    differs += [f"{share:g} of {part}" for part, share in row["averaged"].items()]
    scores = row["scores"]
    return [
        row["run"],
        learned or "-",
        ", ".join(differs) or "-",
        f"{row['minutes']:.0f}",
        " / ".join(f"{bleu:.1f}" for bleu in scores["corpus_bleu"]),
        f"{scores['cider_d']:.3f}",
        str(scores["different_captions"]),
    ]


def _short(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
