"""Scores of several captioners as tables of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgecap.evaluation import Evaluated
from edgecap.html.markup import Child, Node, node
from edgecap.html.tables import scrolled
from edgecap.metrics import METRICS, figure_of
from edgecap.metrics.faults import LIMITS

__all__ = ["score_tables", "scores_reading"]

_NONE = "-"

_Rows = Sequence[tuple[str, Sequence[Child]]]
"""A label, and a cell for each column."""


def score_tables(evaluated: Sequence[Evaluated]) -> Iterable[Node]:
    """Give the tables: scores, faults, and differences where captions were compared."""
    columns = [
        (each.name, search, scores) for each in evaluated for search, scores in each.scores.items()
    ]
    names = [f"{name}, {search}" for name, search, _ in columns]
    rows: list[tuple[str, Sequence[Child]]] = [
        (label, [_score(scores, metric, place) for *_, scores in columns])
        for metric in METRICS
        for place, label in enumerate(metric.labels)
    ]
    rows.append(
        ("different captions", [str(scores["different_captions"]) for *_, scores in columns])
    )
    rows.append(("words a caption", [f"{scores['mean_words']:.2f}" for *_, scores in columns]))
    yield _table("Scores, with 95 % intervals", names, rows)
    faults = [
        (limit.named, [_fault(scores["faults"]["limits"][limit.key]) for *_, scores in columns])
        for limit in LIMITS
    ]
    yield _table("Faults of the captions, and whether they keep to their limits", names, faults)
    apart = [
        (f"{each.name}, {what}", found) for each in evaluated for what, found in each.apart.items()
    ]
    if apart:
        differences = [
            (label, [_difference(found, metric, place) for _, found in apart])
            for metric in METRICS
            for place, label in enumerate(metric.labels)
        ]
        yield _table(
            "Differences: 95 % interval by paired bootstrap, p by approximate randomisation",
            [name for name, _ in apart],
            differences,
        )


def _table(caption: str, names: Sequence[str], rows: _Rows) -> Node:
    head = node("tr", node("td"), *(node("th", name, scope="col") for name in names))
    lines = [
        node("tr", node("th", label, scope="row"), *(node("td", cell) for cell in cells))
        for label, cells in rows
    ]
    return scrolled(caption, node("thead", head), node("tbody", *lines))


def _score(scores: Mapping[str, Any], metric: Any, place: int) -> Node:
    low, high = figure_of(scores["intervals"], metric, place)
    digits = metric.digits
    return node(
        "span",
        f"{figure_of(scores, metric, place):.{digits}f}",
        node("small", f"{low:.{digits}f} to {high:.{digits}f}"),
    )


def _fault(found: Mapping[str, Any]) -> Child:
    if found["value"] is None:
        return _NONE
    kept = "holds" if found["holds"] else "fails"
    return node("span", f"{100 * found['value']:.1f} % ", node("b", kept), class_=kept)


def _difference(found: Mapping[str, Any], metric: Any, place: int) -> Node:
    one = figure_of(found, metric, place)
    digits = metric.digits
    return node(
        "span",
        f"{one['difference']:+.{digits}f}",
        node("small", f"{one['low']:+.{digits}f} to {one['high']:+.{digits}f}, p {one['p']:.3f}"),
    )


def scores_reading(photos: int) -> Node:
    """Say what the scores are; photos: how many were captioned."""
    return node(
        "p",
        f"On {photos} photographs. BLEU-1 to 4 are corpus BLEU; CIDEr-D (0 to 10) takes its "
        "document frequencies from their references; METEOR is by exact and stem matches alone; "
        "sentence-mean BLEU-1 is what notebooks print.",
        class_="note",
    )
