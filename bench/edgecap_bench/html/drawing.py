"""What all plots are drawn with: SVG that takes its colours from the page's style.

The plots are drawn by hand, not by matplotlib: their text is text, they follow the reader's light
or dark scheme, and a plot with many names is laid out a second time for a narrow screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgecap.html.markup import Child, Node, node
from edgecap_bench.html.labels import Box
from edgecap_bench.html.scales import Scale
from edgecap_bench.html.words import number

__all__ = ["CHARACTER", "LINE", "Canvas", "figure", "marker", "numbered_key", "text_size"]

CHARACTER = 6.7
"""Width of a character of names in plots, pixels: they are in a monospaced type of 11 pixels."""
LINE = 13.0
"""Height of such a line."""


def text_size(text: str) -> tuple[float, float]:
    """Give the width and height of a name in a plot, pixels."""
    return len(text) * CHARACTER, LINE


def figure(caption: str, *children: Child, note: str | None = None) -> Node:
    """Make a figure with its caption above and a note below."""
    return node(
        "figure",
        node("figcaption", caption),
        *children,
        node("p", note, class_="note") if note else None,
    )


class Canvas:
    """A plot with two axes."""

    def __init__(self, width: int, height: int, area: Box, across: Scale, up: Scale) -> None:
        """Begin one.

        width, height: of the whole; area: what the axes enclose; across, up: the axes.
        """
        self.size = (width, height)
        self.area, self._across, self._up = area, across, up
        self.shapes: list[Node] = []

    def at(self, across: float, up: float) -> tuple[float, float]:
        """Give the place of a pair of figures, pixels."""
        return (
            self.area.left + self.area.width * self._across.share(across),
            self.area.top + self.area.height * (1 - self._up.share(up)),
        )

    def axes(self, across: str, up: str) -> None:
        """Draw the axes' lines and figures; across, up: what they measure."""
        left, top = self.area.left, self.area.top
        right, bottom = left + self.area.width, top + self.area.height
        for value in self._across.ticks:
            x, _ = self.at(value, self._up.low)
            self.line(x, top, x, bottom, "grid")
            self.text(x, bottom + 16, tick(value), "tick", anchor="middle")
        for value in self._up.ticks:
            _, y = self.at(self._across.low, value)
            self.line(left, y, right, y, "grid")
            self.text(left - 6, y + 4, tick(value), "tick", anchor="end")
        self.line(left, bottom, right, bottom, "axis")
        self.text((left + right) / 2, bottom + 36, across, "axis-name", anchor="middle")
        self.text(2, top - 10, up, "axis-name", anchor="start")

    def line(self, x: float, y: float, to_x: float, to_y: float, class_: str) -> None:
        """Draw a straight line."""
        places = {"x1": x, "y1": y, "x2": to_x, "y2": to_y}
        self.shapes.append(
            node("line", class_=class_, **{key: f"{at:.1f}" for key, at in places.items()})
        )

    def text(self, x: float, y: float, text: str, class_: str, anchor: str = "start") -> None:
        """Write something; y: of the line that it stands on."""
        self.shapes.append(
            node("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)
        )

    def name(self, box: Box, text: str) -> None:
        """Write a name into its box."""
        self.shapes.append(
            node("text", text, x=f"{box.left:.1f}", y=f"{box.top + 10:.1f}", class_="name")
        )

    def draw(self, class_: str, label: str) -> Node:
        """Give the whole; label: says in words what is to be seen."""
        width, height = self.size
        return node(
            "svg",
            *self.shapes,
            class_=class_,
            viewBox=f"0 0 {width} {height}",
            role="img",
            aria_label=label,
        )


def tick(value: float) -> str:
    """Write a round figure."""
    return number(value, 0) if value >= 1000 else f"{value:.4g}".replace("-", "−")


def marker(x: float, y: float, family: str, *, filled: bool, title: str) -> Node:
    """Draw a point: its shape and colour tell the family, its filling what search it is."""
    shape = _SHAPES.get(family, _circle)(x, y)
    shape.set("class", f"point {family}{' filled' if filled else ''}")
    shape.append(node("title", title))
    return shape


def numbered_key(items: Sequence[tuple[str, str]]) -> Node:
    """List what the numbers of a narrow plot stand for: families and names, in their order."""
    return node(
        "ol",
        *(node("li", node("span", name, class_=f"key {family}")) for family, name in items),
        class_="narrow key-list",
    )


def _circle(x: float, y: float) -> Node:
    return node("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="5")


def _polygon(*corners: tuple[float, float]) -> Callable[[float, float], Node]:
    def draw(x: float, y: float) -> Node:
        places = " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in corners)
        return node("polygon", points=places)

    return draw


_SHAPES: dict[str, Callable[[float, float], Node]] = {
    "tflite": _polygon((-4.7, -4.7), (4.7, -4.7), (4.7, 4.7), (-4.7, 4.7)),
    "onnx": _polygon((0, -6.4), (6.4, 0), (0, 6.4), (-6.4, 0)),
    "notebook": _polygon((0, 6), (5.8, -4.4), (-5.8, -4.4)),
    "gpu": _polygon((0, -6), (5.8, 4.4), (-5.8, 4.4)),
}
