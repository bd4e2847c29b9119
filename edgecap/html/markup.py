"""Elements of HTML and SVG, which escape what they hold."""

from __future__ import annotations

import re
from xml.etree import ElementTree

__all__ = ["Child", "Node", "document", "node"]

Node = ElementTree.Element
Child = Node | str | None
"""What stands in an element: another, text, or nothing."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def node(tag: str, *children: Child, **attributes: object) -> Node:
    """Make an element.

    attributes: None leaves one out, True is one without a value. Underscores are hyphens, one at
    the end (`class_`) is dropped.
    """
    made = ElementTree.Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            text = "" if value is True else _clean(str(value))
            made.set(name.rstrip("_").replace("_", "-"), text)
    for child in children:
        if isinstance(child, str):
            _append_text(made, _clean(child))
        elif child is not None:
            made.append(child)
    return made


def document(root: Node) -> str:
    """Give the page's text."""
    text = ElementTree.tostring(root, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}\n"


def _append_text(made: Node, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


def _clean(text: str) -> str:
    """Leave out characters that no page may hold, as a crashed target's last words may."""
    return _CONTROLS.sub("", text)
