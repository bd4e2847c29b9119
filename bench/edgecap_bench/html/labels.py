"""Where names stand beside the points of a plot, so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Segment", "place_labels", "spread"]

Point = tuple[float, float]
Segment = tuple[Point, Point]

_ANGLES = 16
_RADII = (9, 14, 20, 28, 38, 50, 64, 80, 100, 125, 155, 190)
"""Distances from a point to its name that are tried, pixels."""
_MARKER = 7.0
"""Half of what a point's mark takes, pixels."""
_CROSSING = 60.0
"""What it costs that a name's leader crosses something, as if it were so much farther away."""
_ON_LINE = 25.0
"""What it costs that a name lies on a line."""
_SWEEPS = 4
"""How often each name may look for a better place, once all have one."""


@dataclass(frozen=True)
class Box:
    """A rectangle, pixels."""

    left: float
    """Its left side."""
    top: float
    """Its upper side."""
    width: float
    """From left to right."""
    height: float
    """From top to bottom."""

    def overlaps(self, other: Box, space: float = 1.0) -> bool:
        """Say whether two come closer than `space`."""
        return (
            self.left < other.left + other.width + space
            and other.left < self.left + self.width + space
            and self.top < other.top + other.height + space
            and other.top < self.top + self.height + space
        )

    def within(self, other: Box) -> bool:
        """Say whether it lies inside another."""
        return (
            self.left >= other.left
            and self.top >= other.top
            and self.left + self.width <= other.left + other.width
            and self.top + self.height <= other.top + other.height
        )

    def nearest(self, point: Point) -> Point:
        """Give the point of it that is nearest to another."""
        return (
            min(max(point[0], self.left), self.left + self.width),
            min(max(point[1], self.top), self.top + self.height),
        )

    def crosses(self, segment: Segment) -> bool:
        """Say whether a line goes through it (Liang and Barsky 1984)."""
        (x, y), (to_x, to_y) = segment
        enters, leaves = 0.0, 1.0
        for delta, low, high, start in (
            (to_x - x, self.left, self.left + self.width, x),
            (to_y - y, self.top, self.top + self.height, y),
        ):
            if delta == 0:
                if not low <= start <= high:
                    return False
                continue
            ends = sorted(((low - start) / delta, (high - start) / delta))
            enters, leaves = max(enters, ends[0]), min(leaves, ends[1])
        return enters <= leaves


def place_labels(
    points: Sequence[Point], sizes: Sequence[Point], area: Box, lines: Sequence[Segment] = ()
) -> list[Box] | None:
    """Place a name beside each point, near it and off all other names and points.

    Points choose one after the other, each the best of a fixed set of places around it, and then
    again while the others stay. Short leaders that cross nothing, and places off `lines`, are
    better. Of three orders (the most crowded first, from the left, from above) the best counts.

    points: where the points are; sizes: width and height of their names; area: what names must
    not leave; lines: what is drawn besides.
    Returns a box for each point, or None where there isn't room for all.
    """
    marks = [Box(x - _MARKER, y - _MARKER, 2 * _MARKER, 2 * _MARKER) for x, y in points]
    places = range(len(points))
    orders = (
        sorted(places, key=lambda at: _room(points, at)),
        sorted(places, key=lambda at: points[at]),
        sorted(places, key=lambda at: (points[at][1], points[at][0])),
    )
    best: tuple[float, list[Box]] | None = None
    for order in orders:
        found = _placed_in(order, points, sizes, area, marks, lines)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return None if best is None else best[1]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places on a line apart to at least `gap`, in their order, between low and high.

    Where there isn't room for all the gap is smaller.
    """
    if not places:
        return []
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    order = sorted(range(len(places)), key=lambda at: places[at])
    moved = [min(max(places[at], low), high) for at in order]
    for at in range(1, len(moved)):
        moved[at] = max(moved[at], moved[at - 1] + gap)
    moved[-1] = min(moved[-1], high)
    for at in range(len(moved) - 2, -1, -1):
        moved[at] = min(moved[at], moved[at + 1] - gap)
    found = [0.0] * len(places)
    for at, value in zip(order, moved, strict=True):
        found[at] = value
    return found


def _room(points: Sequence[Point], at: int) -> float:
    """Give the mean distance to the three nearest other points."""
    away = sorted(math.dist(points[at], other) for place, other in enumerate(points) if place != at)
    return sum(away[:3]) / max(len(away[:3]), 1)


def _beside(point: Point, size: Point, radius: float, angle: float) -> Box:
    """Lay a box so that the side that faces the point is `radius` away, at an angle."""
    x, y = point[0] + radius * math.cos(angle), point[1] + radius * math.sin(angle)
    width, height = size
    left = x - width * (1 - math.cos(angle)) / 2
    top = y - height * (1 - math.sin(angle)) / 2
    return Box(left, top, width, height)


def _placed_in(
    order: Sequence[int],
    points: Sequence[Point],
    sizes: Sequence[Point],
    area: Box,
    marks: Sequence[Box],
    lines: Sequence[Segment],
) -> tuple[float, list[Box]] | None:
    """Let points choose in this order: what it costs, and their boxes; None without room."""
    placed: dict[int, Box] = {}
    costs: dict[int, float] = {}
    for _ in range(1 + _SWEEPS):
        before = dict(placed)
        for at in order:
            others = {other: box for other, box in placed.items() if other != at}
            best = _best_place(at, points, sizes[at], area, marks, others, lines)
            if best is None:
                return None
            costs[at], placed[at] = best
        if placed == before:
            break
    return sum(costs.values()), [placed[at] for at in range(len(points))]


def _best_place(
    at: int,
    points: Sequence[Point],
    size: Point,
    area: Box,
    marks: Sequence[Box],
    others: dict[int, Box],
    lines: Sequence[Segment],
) -> tuple[float, Box] | None:
    """Find a name's cheapest place, and its cost, while others stay; None if there is none."""
    leaders = [(points[other], box.nearest(points[other])) for other, box in others.items()]
    marks = [mark for other, mark in enumerate(marks) if other != at]
    best: tuple[float, Box] | None = None
    for radius in _RADII:
        if best is not None and best[0] <= radius:
            break  # whatever is farther away costs more
        for step in range(_ANGLES):
            box = _beside(points[at], size, radius, 2 * math.pi * step / _ANGLES)
            if not box.within(area) or any(box.overlaps(each) for each in others.values()):
                continue
            if any(box.overlaps(mark, 0) for mark in marks):
                continue
            leader = (points[at], box.nearest(points[at]))
            crossed = sum(other.crosses(leader) for other in others.values())
            crossed += sum(mark.crosses(leader) for mark in marks)
            crossed += sum(box.crosses(other) for other in leaders)
            cost = radius + _CROSSING * crossed + _ON_LINE * any(map(box.crosses, lines))
            if best is None or cost < best[0]:
                best = (cost, box)
    return best
