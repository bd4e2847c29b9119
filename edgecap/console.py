"""What commands share: the console, progress bars, and errors as one sentence."""

from __future__ import annotations

import functools
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from edgecap_runtime.errors import EdgecapError

ERRORS = Console(stderr=True, highlight=False)
"""Progress, notes and errors go to stderr, so that stdout is the answer alone."""


class EdgecapGroup(click.Group):
    """A click group whose commands end bad input with one sentence and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except EdgecapError as problem:
            click.echo(f"error: {problem}", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            context.exit(130)


def run_alone(command: click.Command, name: str) -> None:
    """Run a command that is a script of its own, with the errors of the `edgecap` group.

    name: the script's, for its help.
    """
    quiet_tensorflow()
    try:
        command.main(prog_name=name)
    except EdgecapError as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(2)


def how_made(verb: str) -> dict[str, str]:
    """Give the command that runs, the day and the machine, for a captioner's provenance.

    verb: what was done that day, e.g. "trained". Resuming is left out: it changes nothing.
    """
    words = ["edgecap", *(word for word in sys.argv[1:] if word != "--resume")]
    return {
        "command": shlex.join(words),
        verb: date.today().isoformat(),
        "machine": platform.machine(),
    }


def quiet_tensorflow() -> None:
    """Keep TensorFlow's talk of missing GPUs off the screen; call before it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Searches end at different steps, so row counts change, and TensorFlow remarks on each.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each stage on stderr; call what it yields with (stage, done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERRORS, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


@contextmanager
def progress_bar(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Show one bar on stderr; call what it yields with (done, total)."""
    with progress_bars() as report:
        yield functools.partial(report, stage)


def load_keras() -> None:
    """Import Keras and wake its backend, without what TensorFlow says of GPUs that aren't there.

    Its C++ code writes these lines before any setting is read. A command that needs Keras calls
    this first.
    """
    from edgecap_export.quiet import quiet

    with quiet():
        import keras

        keras.ops.zeros(())


def print_json(answer: Any) -> None:
    """Write an answer for a program to read."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def print_notes(notes: Iterable[str | None]) -> None:
    """Write what a user should know besides the answer, a line each, to stderr; None is nothing."""
    for note in notes:
        if note is not None:
            # Not broken into lines: a path in it stays one that can be copied.
            ERRORS.print(note, style="yellow", markup=False, soft_wrap=True)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    tight: bool = False,
    texts: int = 1,
) -> None:
    """Write a table.

    tight: whether it has no lines between columns, for many of them in 80 characters.
    texts: how many columns from the left hold text; figures stand at the right of their columns.
    """
    table = Table(title=title, title_justify="left")
    if tight:
        table.box, table.pad_edge, table.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    for place, column in enumerate(columns):
        table.add_column(
            column,
            justify="left" if place < texts else "right",
            no_wrap=not place,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def print_scores(
    title: str, scores: Mapping[str, Mapping[str, Any]], faults: Mapping[str, Any] | None = None
) -> None:
    """Write what `edgecap.evaluation.score_captions` says of each search, metrics downwards.

    faults: what `edgecap.evaluation.judged_faults` says of each search, if it was asked.
    """
    from edgecap.metrics import METRICS  # imports nltk, which `edgecap --help` can do without
    from edgecap.metrics.faults import LIMITS

    rows = [
        (label, *(_with_interval(figures, metric, place) for figures in scores.values()))
        for metric in METRICS
        for place, label in enumerate(metric.labels)
    ]
    counts = {"words a caption": "mean_words", "different captions": "different_captions"}
    rows += [
        (label, *(f"{figures[key]:g}" for figures in scores.values()))
        for label, key in counts.items()
    ]
    if faults:
        rows += [
            (
                limit.label,
                *(_judged(found["limits"][limit.key], limit.allowed) for found in faults.values()),
            )
            for limit in LIMITS
        ]
    rows.append(("photographs", *(str(figures["images"]) for figures in scores.values())))
    note = (
        "95 % intervals; BLEU-1 to 4 are corpus BLEU; CIDEr-D's document frequencies are those of "
        "these photographs' references"
    )
    print_table(f"{title} ({note})", ("", *scores), rows, tight=True)


def print_difference(title: str, difference: Mapping[str, Any]) -> None:
    """Write what `edgecap.evaluation.compare_captions` says."""
    from edgecap.metrics import METRICS, figure_of

    rows = []
    for metric in METRICS:
        for place, label in enumerate(metric.labels):
            found = figure_of(difference, metric, place)
            ends = (f"{found[key]:+.{metric.digits}f}" for key in ("difference", "low", "high"))
            rows.append((label, *ends, f"{found['p']:.4f}"))
    print_table(title, ("", "difference", "from", "to (95 %)", "p"), rows)


def _with_interval(figures: Mapping[str, Any], metric: Any, place: int) -> str:
    from edgecap.metrics import figure_of

    low, high = figure_of(figures["intervals"], metric, place)
    digits = metric.digits
    # No space between the ends: a cell is not broken there.
    return f"{figure_of(figures, metric, place):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _judged(found: Mapping[str, Any], allowed: str) -> str:
    if found["value"] is None:
        return "-"
    return f"{100 * found['value']:.1f} % ({allowed}) {'holds' if found['holds'] else 'FAILS'}"
