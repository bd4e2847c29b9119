"""The page's tables: the one table, quality in full, ratios."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgecap.html.markup import Child, Node, node
from edgecap.html.tables import scrolled
from edgecap_bench.groups import Group, groups_of
from edgecap_bench.html.columns import Column, columns_of
from edgecap_bench.html.words import NONE, family, number

__all__ = ["one_table", "quality_table", "ratio_table"]

_METRICS = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "meteor_exact_stem": "METEOR, exact and stem",
    "cider_d": "CIDEr-D",
    "sentence_mean_bleu1": "sentence-mean BLEU-1",
}
_DIGITS = {"cider_d": 3}

Row = Mapping[str, Any]


def one_table(report: Mapping[str, Any]) -> Node:
    """Give every target's quality and cost, a block of rows for each device and thread count.

    The best of each column in a block is marked; rows of bare parts don't compete.
    """
    columns = columns_of(report)
    head = node(
        "thead",
        node(
            "tr",
            node("th", "target", rowspan=2, scope="col", data_sort="text"),
            *(
                node("th", heading, colspan=len(list(same)), scope="colgroup", class_="group")
                for heading, same in itertools.groupby(columns, key=lambda each: each.group)
            ),
        ),
        node(
            "tr",
            *(
                node(
                    "th",
                    column.heading,
                    scope="col",
                    title=column.meaning,
                    data_sort="low" if column.best == "low" else "high",
                    class_="first" if _begins(columns, place) else None,
                )
                for place, column in enumerate(columns)
            ),
        ),
    )
    bodies = [_body(group, columns) for group in groups_of(report)]
    caption = "Quality and cost of every target; the best of each column and block is marked"
    return scrolled(caption, head, *bodies)


def quality_table(report: Mapping[str, Any]) -> Node | None:
    """Give all metrics of each target and search with intervals; None if nothing was scored."""
    scored: dict[tuple[str, str, str], tuple[Row, Mapping[str, Any]]] = {}
    for row in report["rows"]:
        for search, scores in row["quality"].items():
            scored.setdefault((row["target"], row["device"], search), (row, scores))
    if not scored:
        return None
    head = _plain_head(
        "target",
        "search",
        *_METRICS.values(),
        *("same as reference", "different captions", "words", "images"),
    )
    lines = [
        node("tr", _name(row), node("td", search, class_="text"), *_scores(scores))
        for (_, _, search), (row, scores) in scored.items()
    ]
    return scrolled("All metrics, with 95 % intervals", head, node("tbody", *lines))


_OVER = {
    "over_bare": "over its bare parts",
    "cold_over_bare": "cold start over the bare one",
    "saturated_over_bare": "captions a second at full load over the bare parts'",
}


def ratio_table(group: Group) -> Node | None:
    """Give the ratios of a group; None if there are none."""
    rows = [row for row in group.targets if row["caption_ms"]]
    widths = list(dict.fromkeys(key for row in rows for key in row["ratios"]["beam_over_greedy"]))
    slower = list(dict.fromkeys(key for row in rows for key in row["ratios"]["faster_than"]))
    over = {
        name: heading
        for name, heading in _OVER.items()
        if any(row["ratios"][name] is not None for row in rows)
    }
    if not (over or widths or slower):
        return None
    head = _plain_head(
        "target",
        *over.values(),
        *(f"beam {width} over greedy" for width in widths),
        *(f"times faster than {name}" for name in slower),
    )
    lines = []
    for row in rows:
        ratios = row["ratios"]
        values = [ratios[name] for name in over]
        values += [ratios["beam_over_greedy"].get(width) for width in widths]
        values += [ratios["faster_than"].get(name) for name in slower]
        lines.append(node("tr", _name(row), *(_cell(value, number(value)) for value in values)))
    return scrolled(group.title, head, node("tbody", *lines))


def _plain_head(*headings: str) -> Node:
    return node(
        "thead",
        node(
            "tr",
            *(
                node(
                    "th",
                    heading,
                    scope="col",
                    data_sort="high" if place else "text",
                    class_="text" if heading == "search" else None,
                )
                for place, heading in enumerate(headings)
            ),
        ),
    )


def _body(group: Group, columns: Sequence[Column]) -> Node:
    best = [_best(group, column) for column in columns]
    lines = []
    for row in group.rows:
        if row["error"] and not row["caption_ms"]:
            said = node("td", f"not measured: {row['error']}", colspan=max(len(columns), 1))
            said.set("class", "failed")
            lines.append(node("tr", _name(row), said))
            continue
        cells = []
        for place, column in enumerate(columns):
            value = column.value(row)
            text = NONE if value is None else column.text(value)
            wins = row["floor_of"] is None and value is not None and text == best[place]
            noisy = _noisy(column, row)
            cell = _cell(value, f"~{text}" if noisy else text, column.detail(row), best=wins)
            if _begins(columns, place):
                cell.set("class", f"{cell.get('class', '')} first".strip())
            cells.append(cell)
        bare = "bare" if row["floor_of"] is not None else None
        lines.append(node("tr", _name(row), *cells, class_=bare))
    heading = node(
        "th", node("span", group.title), colspan=max(len(columns), 1) + 1, scope="rowgroup"
    )
    return node("tbody", node("tr", heading, class_="block"), *lines)


def _best(group: Group, column: Column) -> str | None:
    """Give the best figure of a column as it is written; None where there is no contest."""
    values = [column.value(row) for row in group.targets if not row["error"]]
    known = [value for value in values if value is not None]
    if column.best is None or len(known) < 2 or min(known) == max(known):
        return None
    return column.text(min(known) if column.best == "low" else max(known))


def _noisy(column: Column, row: Row) -> bool:
    if column.heading != "p50":
        return False
    return any(
        times["noisy"] and column.value(row) == times["p50"] and search in column.group
        for search, times in row["caption_ms"].items()
    )


def _begins(columns: Sequence[Column], place: int) -> bool:
    return place == 0 or columns[place].group != columns[place - 1].group


def _name(row: Row) -> Node:
    """Make a row's heading: its target, and what is to be known before its figures are read."""
    marks: list[Child] = []
    if row["error"]:
        marks.append(node("span", "failed", class_="mark bad"))
    if row["disturbed"]:
        marks.append(node("span", "disturbed", class_="mark warn"))
    if any(times["noisy"] for times in row["caption_ms"].values()):
        marks.append(node("span", "noisy", class_="mark warn"))
    if row["kind"] == "prefix":
        marks.append(node("span", "prefix", class_="mark"))
    if row.get("searched") == "inside":
        marks.append(node("span", "search inside", class_="mark"))
    reason = row["error"] if row["error"] and row["caption_ms"] else None
    return node(
        "th",
        node("span", *_breakable(row["target"]), class_=f"key {family(row)}"),
        *itertools.chain.from_iterable((" ", mark) for mark in marks),
        node("small", reason) if reason else None,
        scope="row",
        data_value=row["target"],
    )


def _breakable(name: str) -> list[Child]:
    """Let a long name go on in the next line behind its punctuation."""
    first, *others = re.findall(r"[^-:./_]*[-:./_]|[^-:./_]+", name) or [""]
    return [first, *itertools.chain.from_iterable((node("wbr"), part) for part in others)]


def _cell(value: float | None, text: str, detail: str | None = None, *, best: bool = False) -> Node:
    return node(
        "td",
        node("strong", text, node("span", " (best)", class_="ears")) if best else text,
        node("small", detail) if detail else None,
        data_value=None if value is None else f"{value:.9g}",
        class_="best" if best else None,
    )


def _scores(scores: Mapping[str, Any]) -> list[Node]:
    against = scores["against"] or {}
    cells = []
    for key in _METRICS:
        score, digits = scores[key], _DIGITS.get(key, 2)
        detail = f"{number(score['low'], digits)} to {number(score['high'], digits)}"
        cell = _cell(score["value"], number(score["value"], digits), detail)
        if key in against:
            cell.append(node("small", _difference(against[key], digits), class_="against"))
        cells.append(cell)
    same = scores["token_exact"]
    return [
        *cells,
        _cell(same, NONE if same is None else f"{same:.1%}", against.get("target")),
        _cell(scores["distinct"], str(scores["distinct"])),
        _cell(scores["words_mean"], number(scores["words_mean"], 2)),
        _cell(scores["images"], str(scores["images"])),
    ]


def _difference(found: Mapping[str, float], digits: int) -> str:
    p = "p < 0.001" if found["p"] < 0.001 else f"p {found['p']:.2g}"
    low, high = (number(found[end], digits, signed=True) for end in ("low", "high"))
    return f"{number(found['difference'], digits, signed=True)} ({low} to {high}), {p}"
