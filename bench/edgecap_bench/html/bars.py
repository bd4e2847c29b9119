"""Bars, a line for each target: as wide as the screen, their figures beside them in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgecap.html.markup import Child, Node, node
from edgecap_bench.groups import Group
from edgecap_bench.html.drawing import tick
from edgecap_bench.html.scales import Scale, log_scale
from edgecap_bench.html.words import family, number

__all__ = ["distribution", "memory_bars", "size_bars", "stage_bars", "stage_end"]

_STAGES = ("prepare", "encode", "words")
_WORTH_A_BREAK = 3.0
_HEIGHT = 18


def stage_end(totals: Sequence[float]) -> float:
    """Say where an axis of totals ends: at the last before the first wide gap above the median.

    A gap is wide where the next is a factor of 3 away; bars behind it would leave the others no
    room.
    """
    ordered = sorted(totals)
    upper = ordered[len(ordered) // 2 :]
    for low, high in itertools.pairwise(upper):
        if low > 0 and high >= _WORTH_A_BREAK * low:
            return low
    return ordered[-1]


def stage_bars(group: Group) -> Node | None:
    """Draw what a greedy caption's time is made of; None if nothing is known."""
    parts = [
        (row, [row[f"{stage}_ms"]["p50"] for stage in _STAGES])
        for row in group.rows
        if all(row[f"{stage}_ms"] for stage in _STAGES)
    ]
    if not parts:
        return None
    end = stage_end([sum(values) for _, values in parts]) or 1.0
    return _block(group.title, (_stages(row, values, end) for row, values in parts))


def distribution(group: Group) -> Node | None:
    """Draw each search's median, percentiles and slowest caption; None if there are none."""
    strips = [
        (row, search, times)
        for row in group.rows
        for search, times in row["caption_ms"].items()
        if times["p50"] > 0
    ]
    if not strips:
        return None
    values = [times[key] for _, _, times in strips for key in ("p50", "max")]
    values += [end for _, _, times in strips for end in times["p50_interval"] or () if end > 0]
    scale = log_scale(values, ticks=6)
    lines = [_strip(row, search, times, scale) for row, search, times in strips]
    return _block(group.title, [_ruler(scale), *lines])


def size_bars(groups: Iterable[Group]) -> Node | None:
    """Draw the sizes of the files, each target once; None if none is known."""
    sizes: dict[tuple[str, float], Mapping[str, Any]] = {}
    for group in groups:
        for row in group.targets:
            if row["file_mb"] is not None:
                sizes.setdefault((row["target"], row["file_mb"]), row)
    if not sizes:
        return None
    most = max(size for _, size in sizes) or 1.0
    lines = (_plain_bar(row, size, most, f"{number(size)} MB") for (_, size), row in sizes.items())
    return _block(None, lines)


def memory_bars(group: Group) -> Node | None:
    """Draw the peak memory of each process; None if none is known."""
    rows = [row for row in group.rows if row["peak_mb"] is not None]
    if not rows:
        return None
    most = max(row["peak_mb"] for row in rows) or 1.0
    return _block(group.title, (_memory(row, most) for row in rows))


def _memory(row: Mapping[str, Any], most: float) -> Node:
    over = row["peak_over_bare_mb"]
    beside = "" if over is None else f", {number(over, 1, signed=True)} over the bare interpreter"
    return _plain_bar(row, row["peak_mb"], most, f"{number(row['peak_mb'])} MB{beside}")


def _block(title: str | None, lines: Iterable[Node]) -> Node:
    return node("div", node("h4", title) if title else None, node("ul", *lines, class_="bars"))


def _line(row: Mapping[str, Any], search: str | None, said: str, *shapes: Child) -> Node:
    """Make a line: the target's name, its figures in words, and the bar below, hidden from ears."""
    bare = row["floor_of"] is not None
    name = f"{row['target']}{f', {search}' if search not in (None, 'greedy') else ''}"
    return node(
        "li",
        node("span", name, class_="bar-name"),
        " ",
        node("span", said, class_="said"),
        node(
            "svg",
            *shapes,
            class_=f"track {family(row)}{' bare' if bare else ''}",
            height=_HEIGHT,
            width="100%",
            aria_hidden="true",
        ),
    )


def _stages(row: Mapping[str, Any], values: Sequence[float], end: float) -> Node:
    total = sum(values)
    cut = total > end * 1.001
    shapes: list[Child] = []
    left = 0.0
    for stage, value in zip(_STAGES, values, strict=True):
        # A bar that is cut shows shares: cut off at the axis' end it would lose its last parts.
        width = value / (total if cut else end)
        shapes.append(_rect(left, width, stage, 2, _HEIGHT - 4, f"{stage} {number(value)} ms"))
        left += width
    if cut:
        shapes += [
            node("line", class_="cut", x1=f"{97 + way}%", x2=f"{97.6 + way}%", y1=_HEIGHT, y2=0)
            for way in (0.0, 0.8)
        ]
    made_of = " + ".join(
        f"{stage} {number(value)}" for stage, value in zip(_STAGES, values, strict=True)
    )
    scale = " (not to scale)" if cut else ""
    return _line(row, None, f"{number(total)} ms = {made_of}{scale}", *shapes)


def _strip(row: Mapping[str, Any], search: str, times: Mapping[str, Any], scale: Scale) -> Node:
    p50, p90, p99, most = (scale.share(times[key]) for key in ("p50", "p90", "p99", "max"))
    middle = _HEIGHT / 2
    said = (
        f"{number(times['p50'])} ms, 90 % {number(times['p90'])}, 99 % {number(times['p99'])}, "
        f"slowest {number(times['max'])}, of {times['count']}"
    )
    if times["noisy"]:
        said += ", noisy"
    shapes: list[Child] = [
        *(
            node("line", class_="grid", x1=_percent(at), x2=_percent(at), y1=0, y2=_HEIGHT)
            for at in map(scale.share, scale.ticks)
        ),
        _rect(p90, p99 - p90, "tail", middle - 1.5, 3, None),
        _rect(p50, p90 - p50, "body", middle - 5, 10, None),
        node("circle", class_="slowest", cx=_percent(most), cy=middle, r=3),
        node("line", class_="median", x1=_percent(p50), x2=_percent(p50), y1=1, y2=_HEIGHT - 1),
    ]
    if times["p50_interval"]:
        low, high = (scale.share(max(end, scale.low)) for end in times["p50_interval"])
        shapes.append(_rect(low, high - low, "interval", _HEIGHT - 3, 3, None))
    return _line(row, search, said, *shapes)


def _ruler(scale: Scale) -> Node:
    """Make the line of figures over the strips."""
    figures = (
        node(
            "text",
            tick(value),
            class_="tick",
            x=_percent(scale.share(value)),
            y=12,
            text_anchor="middle",
        )
        for value in scale.ticks
    )
    return node(
        "li",
        node("svg", *figures, class_="track", width="100%", height=_HEIGHT, aria_hidden="true"),
        class_="ruler",
        aria_hidden="true",
    )


def _plain_bar(row: Mapping[str, Any], value: float, most: float, said: str) -> Node:
    return _line(row, None, said, _rect(0, value / most, "whole", 2, _HEIGHT - 4, None))


def _rect(
    left: float, width: float, class_: str, top: float, height: float, title: str | None
) -> Node:
    return node(
        "rect",
        node("title", title) if title else None,
        class_=class_,
        x=_percent(left),
        width=_percent(max(width, 0.0)),
        y=top,
        height=height,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"
