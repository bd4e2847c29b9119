"""The outcomes as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap.markdown import markdown_row
from edgecap_bench.pages import machine_line
from edgecap_bench.systems.survey import RECIPES, Made, Outcome

__all__ = ["outcome_line", "systems_page"]

_NONE = "-"

_INTRODUCTION = """\
# Every encoder with every decoder in every format

This page is the output of

    {command}

Each row was taken all the way: `edgecap`'s own training taught the decoder the sample photographs
in the box, a caption each, until it said every one of them; `edgecap_export` wrote the files and
compared them with the Keras training graph, greedy and by beam search; `edgecap-runtime` ran them.
A row holds where float32 passes the exporter's gate and says all captions in Keras' own words, and
int8 nine of ten, on captions that differ from photograph to photograph: a captioner that ignored
its image would fail. The training photographs are the test photographs: **this table is about the
road, not about the captions' quality.**

**{good} of {all} rows hold.**
"""

_READING = """
- **weights**: "file" is a Keras file of trained weights, named below; "random weights" are what
  their name says, their batch norm adapted to the photographs (no trained ones were at hand).
- **word by**: "step" is a run over one word and the state before it; "prefix" is a run over all
  words so far, for each word, which a decoder that also reads backwards needs.
- **same captions**: greedy / beam 3, of {images} photographs with {distinct} different captions,
  which {epochs} epochs had taught.
- **nats** are differences of log probabilities over all words at all places: the largest of float32
  and the 99th percentile of int8 (dynamic-int8: a float encoder). What is learned by heart has
  large logits, and int8's differences grow with them; the gate of 0.1 is for real captioners.
- **MB** is 10^6 bytes, with a vocabulary of {words} words.
- **encode** and **word** are medians in milliseconds, greedy, in a process that holds
  `edgecap-runtime` and the file alone, {threads} threads; a word's share of the search is in it.
  Captions here have 7 to 9 words: a prefix grows dearer with each.
"""


def outcome_line(outcome: Outcome) -> str:
    """Say in a line what became of a system in one format."""
    head = f"{outcome.system}, {outcome.format}"
    if outcome.problems:
        return f"{head}: FAILED: {'; '.join(outcome.problems)}"
    made = outcome.made[RECIPES[0]]
    return (
        f"{head}: {made.kind}, {made.greedy} of {made.images} captions are Keras' own, "
        f"{_number(made.encode_ms)} ms + {_number(made.word_ms)} ms a word"
    )


def systems_page(
    outcomes: Sequence[Outcome],
    *,
    command: str,
    threads: int,
    machine: Mapping[str, Any],
    load: str,
) -> str:
    """Write the page.

    Args:
        outcomes: the rows.
        command: what was run, for the reader to repeat.
        threads: the interpreters' threads.
        machine: as `describe_machine` gives it.
        load: the machine's load averages before and after, in words.
    """
    good = sum(not outcome.problems for outcome in outcomes)
    lines = [_INTRODUCTION.format(command=command, good=good, all=len(outcomes))]
    lines += _table(outcomes)
    failed = [outcome for outcome in outcomes if outcome.problems]
    if failed:
        lines += ["", "What failed:", ""]
        lines += [f"- {outcome_line(outcome)}" for outcome in failed]
    lines.append(_reading(outcomes, threads))
    used = sorted({outcome.weights for outcome in outcomes if outcome.weights})
    if used:
        lines += [f"Weights: {', '.join(f'`{name}`' for name in used)}.", ""]
    lines.append(machine_line(machine, load))
    return "\n".join(lines) + "\n"


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    named = ["encoder", "weights", "decoder", "file", "word by"]
    figures = [
        *("same captions, float32", "int8", "nats, float32", "int8", "MB, float32", "int8"),
        *("encode, ms", "word, ms, float32", "int8"),
    ]
    marks = ["---"] * len(named) + ["--:"] * len(figures)
    return [
        markdown_row([*named, *figures]),
        markdown_row(marks),
        *(markdown_row(_cells(outcome)) for outcome in outcomes),
    ]


def _cells(outcome: Outcome) -> list[str]:
    system = outcome.system
    exact, int8 = (outcome.made.get(recipe) for recipe in RECIPES)
    kind = (exact and exact.kind) or _NONE
    return [
        f"{system.encoder} {system.size}",
        "file" if outcome.weights else "random weights",
        system.decoder,
        outcome.format,
        "**failed**" if outcome.problems else kind,
        _same(exact),
        _same(int8),
        _NONE if exact is None else f"{exact.largest:.0e}",
        _NONE if int8 is None else f"{int8.p99:.2f}",
        *(_NONE if made is None else f"{made.bytes / 1e6:.1f}" for made in (exact, int8)),
        _NONE if exact is None else _number(exact.encode_ms),
        *(_NONE if made is None else _number(made.word_ms) for made in (exact, int8)),
    ]


def _same(made: Made | None) -> str:
    return _NONE if made is None else f"{made.greedy} / {made.beam}"


def _reading(outcomes: Sequence[Outcome], threads: int) -> str:
    made = [item for outcome in outcomes for item in outcome.made.values()]
    return _READING.format(
        images=_span([item.images for item in made]),
        distinct=_span([item.distinct for item in made]),
        epochs=_span([outcome.epochs for outcome in outcomes if outcome.epochs]),
        words=_span([outcome.words for outcome in outcomes if outcome.words]),
        threads=threads,
    )


def _span(values: Sequence[int]) -> str:
    if not values:
        return "no"
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _number(value: float | None) -> str:
    if value is None:
        return _NONE
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"
