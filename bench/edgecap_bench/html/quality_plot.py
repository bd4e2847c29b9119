"""BLEU-4 against milliseconds, with the Pareto front: what no other target beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecap.html.markup import Node, node
from edgecap_bench.groups import Group
from edgecap_bench.html.drawing import Canvas, marker, numbered_key, text_size
from edgecap_bench.html.labels import Box, Segment, place_labels
from edgecap_bench.html.scales import linear_scale, log_scale
from edgecap_bench.html.words import family, number

__all__ = ["Shot", "front_of", "quality_plot", "shots_of"]

_WIDE, _NARROW = 940, 360
_HEIGHTS = (420, 560, 720, 960)
"""Heights that are tried until all names have room, pixels."""
_CROWD = 14
"""Points from which on the lowest is not tried: names would stand far from their points."""

_MARGIN = 0.17
"""Share of the axis beside the fastest and the slowest, where their names find room."""


@dataclass(frozen=True)
class Shot:
    """A target with a search: a point of the plot."""

    name: str
    """The target, and the search where it is no greedy one."""
    family: str
    """What runs it."""
    greedy: bool
    """Whether the search is greedy."""
    ms: float
    """Median time of a caption, milliseconds."""
    bleu4: float
    """Corpus BLEU-4."""

    @property
    def title(self) -> str:
        """The point in words."""
        return f"{self.name}: {number(self.ms)} ms, BLEU-4 {number(self.bleu4, 2)}"


def shots_of(group: Group) -> list[Shot]:
    """Give the points of the targets and searches whose time and quality are both known."""
    found = []
    for row in group.targets:
        for search, times in row["caption_ms"].items():
            scores = row["quality"].get(search)
            if scores is not None and times["p50"] > 0:
                greedy = search == "greedy"
                name = row["target"] if greedy else f"{row['target']}, {search}"
                bleu4 = scores["bleu4"]["value"]
                found.append(Shot(name, family(row), greedy, times["p50"], bleu4))
    return found


def front_of(shots: Sequence[Shot]) -> list[Shot]:
    """Give those that are not beaten: no other is as fast and better, or as good and faster.

    In the order of their times.
    """
    front: list[Shot] = []
    for shot in sorted(shots, key=lambda each: (each.ms, -each.bleu4)):
        if not front or shot.bleu4 > front[-1].bleu4:
            front.append(shot)
    return front


def quality_plot(group: Group) -> Node | None:
    """Draw the targets of a group; None if there is no point."""
    shots = shots_of(group)
    if not shots:
        return None
    front = front_of(shots)
    label = (
        f"BLEU-4 against milliseconds a caption on {group.title}. Not beaten, from the fastest: "
        + "; ".join(shot.title for shot in front)
        + "."
    )
    names = [shot.name for shot in shots]
    numbers = [str(place) for place in range(1, len(shots) + 1)]
    heights = _HEIGHTS if len(shots) < _CROWD else _HEIGHTS[1:]

    def first(names: Sequence[str], width: int) -> Node | None:
        drawn = (_draw(shots, front, names, width, height, label) for height in heights)
        return next((plot for plot in drawn if plot is not None), None)

    wide, narrow = first(names, _WIDE), first(numbers, _NARROW)
    if wide is None:  # more points than even the highest plot has room for: numbers there too
        wide = _draw(shots, front, numbers, _WIDE, _HEIGHTS[-1], label)
    key = numbered_key([(shot.family, shot.title) for shot in shots])
    if wide is None or narrow is None:
        key.set("class", "key-list")
    listed = ", ".join(shot.name for shot in front)
    return node(
        "div",
        node("h4", group.title),
        wide,
        narrow,
        key,
        node("p", node("b", "Pareto front, from the fastest: "), listed + ".", class_="note"),
    )


def _draw(
    shots: Sequence[Shot],
    front: Sequence[Shot],
    names: Sequence[str],
    width: int,
    height: int,
    label: str,
) -> Node | None:
    """Draw it at a size; None if the names have no room."""
    area = Box(48, 26, width - 58, height - 72)
    across = log_scale([shot.ms for shot in shots], ticks=max(3, width // 90), margin=_MARGIN)
    canvas = Canvas(width, height, area, across, linear_scale([shot.bleu4 for shot in shots]))
    canvas.axes("milliseconds a caption, median (logarithmic)", "corpus BLEU-4")
    corners = _corners(canvas, front)
    for (x, y), (to_x, to_y) in corners:
        canvas.line(x, y, to_x, to_y, "front")
    points = [canvas.at(shot.ms, shot.bleu4) for shot in shots]
    boxes = place_labels(points, [text_size(name) for name in names], area, corners)
    if boxes is None:
        return None
    for point, box in zip(points, boxes, strict=True):
        canvas.line(*point, *box.nearest(point), "leader")
    for point, shot in zip(points, shots, strict=True):
        mark = marker(*point, shot.family, filled=not shot.greedy, title=shot.title)
        canvas.shapes.append(mark)
    for box, name in zip(boxes, names, strict=True):
        canvas.name(box, name)
    return canvas.draw("wide" if width == _WIDE else "narrow", label)


def _corners(canvas: Canvas, front: Sequence[Shot]) -> list[Segment]:
    """Give the front's stairs: from each point to the time of the next, then up to it."""
    places = [canvas.at(shot.ms, shot.bleu4) for shot in front]
    right = canvas.area.left + canvas.area.width
    bottom = canvas.area.top + canvas.area.height
    stairs: list[Segment] = [((places[0][0], bottom), places[0])]
    for (x, y), (to_x, to_y) in zip(places, [*places[1:], (right, places[-1][1])], strict=True):
        stairs += [((x, y), (to_x, y)), ((to_x, y), (to_x, to_y))]
    return [stair for stair in stairs if stair[0] != stair[1]]
