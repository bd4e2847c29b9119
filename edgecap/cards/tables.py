"""The tables of a card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from edgecap.markdown import markdown_table
from edgecap.metrics.faults import LIMITS
from edgecap.metrics.mentions import KINDS
from edgecap.record import Measurement, Record, TargetFigures
from edgecap.seeds import seed_names

__all__ = [
    "Table",
    "curve_table",
    "fault_table",
    "gender_line",
    "markdown_table",
    "mention_table",
    "sample_table",
    "score_table",
    "seed_table",
]

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads, and rows."""

_ORDERS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
_NONE = "-"
_PICTURE_WIDTH = 160


def score_table(measured: Measurement) -> Table:
    """Give the scores of Keras and of each file, by search."""
    head = (
        *("file", "search", "MB", *_ORDERS, "CIDEr-D", "sentence-mean BLEU-1"),
        *("different captions", "as Keras'", "BLEU-4 minus Keras'"),
    )
    rows = [
        ["Keras", search, _NONE, *_figures(scores), _NONE, _NONE]
        for search, scores in measured.keras.items()
    ]
    for target in measured.targets:
        rows += _target_rows(target)
    return head, rows


def _target_rows(target: TargetFigures) -> Iterator[list[str]]:
    below = " (below its gate)" if target.verdict == "failed" else ""
    for search, scores in target.scores.items():
        apart = target.difference[search]["corpus_bleu"][3]
        yield [
            f"{target.format} {target.recipe}{below}",
            search,
            f"{target.bytes / 1e6:.1f}",
            *_figures(scores),
            f"{target.same[search]:.1%}",
            f"{apart['difference']:+.2f} ({apart['low']:+.2f} to {apart['high']:+.2f})",
        ]


def _figures(scores: Mapping[str, Any]) -> list[str]:
    return [
        *(f"{bleu:.1f}" for bleu in scores["corpus_bleu"]),
        f"{scores['cider_d']:.3f}",
        f"{scores['sentence_mean_bleu1']:.3f}",
        str(scores["different_captions"]),
    ]


def fault_table(measured: Measurement) -> Table:
    """Give the faults of the float32 and the smallest usual .tflite file, against their limits."""
    shown = [
        (f"{target.recipe}, {search}", scores["faults"]["limits"])
        for target in measured.targets
        if target.format == measured.targets[0].format and target.recipe in _FAULTS_OF
        for search, scores in target.scores.items()
    ]
    rows = [[limit.named, *(_kept(found[limit.key]) for _, found in shown)] for limit in LIMITS]
    return ("captions that", *(name for name, _ in shown)), rows


_FAULTS_OF = ("float32", "static-int8")


def _kept(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return _NONE
    return f"{found['value']:.1%} {'holds' if found['holds'] else '**fails**'}"


def sample_table(measured: Measurement, photos: Path | None) -> Table:
    """Give what is said of each sample photograph.

    photos: the way to them, None for their names alone.
    """
    targets = list(dict.fromkeys(target for said in measured.samples.values() for target in said))
    first = targets[0]
    rows = []
    for name, said in measured.samples.items():
        others = [said[target] if said[target] != said[first] else "the same" for target in targets]
        shown = f"`{name}`" if photos is None else _picture(photos / name, name)
        rows.append([shown, said[first], *others[1:]])
    return ("photograph", *(target.split()[1] for target in targets)), rows


def _picture(path: Path, name: str) -> str:
    return f'<img src="{path.as_posix()}" alt="{name}" width="{_PICTURE_WIDTH}">'


def mention_table(measured: Measurement) -> Table:
    """Give what captions name, and how much of that nobody who saw the photograph did."""
    rows = []
    for kind in KINDS:
        found = measured.mentions[kind.key]
        rows.append([kind.key, str(found["said"]), _not_borne_out(found)])
    return ("captions that name", f"of {measured.images}", "not borne out"), rows


def _not_borne_out(found: Mapping[str, int]) -> str:
    wrong = found["said"] - found["borne_out"]
    return f"{wrong} ({wrong / found['said']:.0%})" if found["said"] else _NONE


def gender_line(measured: Measurement) -> str:
    """Say how often gender is guessed against all references."""
    men, women = (measured.mentions[key] for key in ("women called men", "men called women"))
    return (
        f"Where references name a gender: of {men['said']} captions that speak of men or boys "
        f"alone, {_not_borne_out(men)} are of photographs whose references speak of women or girls "
        f"alone; of {women['said']} that speak of women or girls alone, {_not_borne_out(women)} "
        "are the other way round."
    )


def seed_table(record: Record) -> Table:
    """Give the dev scores of each seed, as the training reported them, and how they scatter."""
    rows: list[list[str]] = []
    names = seed_names([each["seed"] for each in record.seeds])
    for search in record.seeds[0]["dev"]:
        if not all(search in each["dev"] for each in record.seeds):
            continue  # each run has its own search beside the greedy one
        scores = [each["dev"][search] for each in record.seeds]
        figures = [(*each["corpus_bleu"], each.get("cider_d")) for each in scores]
        for name, row in zip(names, figures, strict=True):
            rows.append([name, search, *map(_figure, row, _DIGITS)])
        columns = zip(*figures, strict=True)
        rows.append(["mean ± sd", search, *map(_scatter, columns, _DIGITS)])
    return ("seed", "search", *_ORDERS, "CIDEr-D"), rows


_DIGITS = (1, 1, 1, 1, 3)
"""Behind the point, of BLEU-1 to 4 and CIDEr-D."""


def _figure(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _scatter(values: Sequence[float | None], digits: int) -> str:
    """Mean and standard deviation of the sample, where every seed has the figure."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return _NONE
    return f"{mean(known):.{digits}f} ± {stdev(known):.{digits}f}"


def curve_table(record: Record) -> Table:
    """Give the rows of the training's own table."""
    head = list(record.curve[0])
    rows = [[row[name] or _NONE for name in head] for row in record.curve]
    return [name.replace("_", " ") for name in head], rows
