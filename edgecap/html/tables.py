"""What tables of all pages have in common."""

from __future__ import annotations

from edgecap.html.markup import Child, Node, node

__all__ = ["scrolled"]


def scrolled(caption: str, *children: Child) -> Node:
    """Make a table that scrolls sideways by itself on a narrow screen."""
    return node(
        "div",
        node("table", node("caption", caption), *children),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )
