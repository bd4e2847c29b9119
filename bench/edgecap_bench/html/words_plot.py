"""What a word costs against the caption's length: a step's cost is flat, a prefix's grows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecap.html.markup import Node, node
from edgecap_bench.groups import Group
from edgecap_bench.html.drawing import CHARACTER, Canvas, marker, numbered_key
from edgecap_bench.html.labels import Box, spread
from edgecap_bench.html.scales import linear_scale, log_scale
from edgecap_bench.html.words import family, number

__all__ = ["words_plot"]

_WIDE, _NARROW = 940, 360
_GAP = 15.0
"""From line to line of the names, pixels."""
_LOGARITHMIC = 6.0
"""From this ratio of the dearest word to the cheapest on the axis is logarithmic."""


@dataclass(frozen=True)
class _Course:
    """A target: a line of the plot."""

    name: str
    family: str
    prefix: bool
    per_word: Sequence[tuple[int, float]]
    """Decoder steps of a caption, and milliseconds for each."""

    @property
    def title(self) -> str:
        first, last = self.per_word[0], self.per_word[-1]
        by = "whole prefix" if self.prefix else "step"
        if first == last:
            return f"{self.name} ({by}): {number(first[1])} ms a word at {first[0]} steps"
        return (
            f"{self.name} ({by}): {number(first[1])} ms a word at {first[0]} steps, "
            f"{number(last[1])} at {last[0]}"
        )


def words_plot(group: Group) -> Node | None:
    """Draw the targets of a group, greedy; None if no times by length are known."""
    courses = [_course(row) for row in group.targets if row["words_by_steps"]]
    courses = [each for each in courses if all(ms > 0 for _, ms in each.per_word)]
    if not courses:
        return None
    label = "Milliseconds a word against the steps of a caption: " + "; ".join(
        each.title for each in courses
    )
    return node(
        "div",
        node("h4", group.title),
        _draw(courses, [each.name for each in courses], _WIDE, label),
        _draw(courses, [str(place + 1) for place in range(len(courses))], _NARROW, label),
        numbered_key([(each.family, each.title) for each in courses]),
    )


def _course(row: Mapping[str, Any]) -> _Course:
    by_steps = sorted((int(steps), ms) for steps, ms in row["words_by_steps"].items())
    per_word = [(steps, ms / steps) for steps, ms in by_steps]
    return _Course(row["target"], family(row), row["kind"] == "prefix", per_word)


def _draw(courses: Sequence[_Course], names: Sequence[str], width: int, label: str) -> Node:
    beside = max(map(len, names)) * CHARACTER + 30
    height = max(340, round(_GAP * len(courses)) + 110)
    area = Box(48, 26, width - 58 - beside, height - 72)
    steps = [steps for each in courses for steps, _ in each.per_word]
    costs = [ms for each in courses for _, ms in each.per_word]
    wide_range = max(costs) > _LOGARITHMIC * min(costs)
    across = linear_scale(steps, ticks=max(3, width // 80))
    up = log_scale(costs) if wide_range else linear_scale(costs, from_zero=True)
    canvas = Canvas(width, height, area, across, up)
    canvas.axes(
        "decoder steps of the caption", f"ms a word{' (logarithmic)' if wide_range else ''}"
    )
    ends = []
    for each in courses:
        places = [canvas.at(*point) for point in each.per_word]
        for (x, y), (to_x, to_y) in itertools.pairwise(places):
            canvas.line(x, y, to_x, to_y, f"course {each.family}{' prefix' if each.prefix else ''}")
        for place, (count, ms) in zip(places, each.per_word, strict=True):
            title = f"{each.name}: {number(ms)} ms a word at {count} steps"
            canvas.shapes.append(marker(*place, each.family, filled=each.prefix, title=title))
        ends.append(places[-1])
    right, bottom = area.left + area.width, area.top + area.height
    for (x, y), beside_y, name in zip(
        ends,
        spread([y for _, y in ends], _GAP, area.top + 6, bottom - 6),
        names,
        strict=True,
    ):
        canvas.line(x + 6, y, right + 16, beside_y, "leader")
        canvas.name(Box(right + 20, beside_y - 6.5, 0, 0), name)
    return canvas.draw("wide" if width == _WIDE else "narrow", label)
