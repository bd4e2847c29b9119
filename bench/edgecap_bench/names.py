"""Long names in narrow places."""

from __future__ import annotations

import re

__all__ = ["folded"]


def folded(name: str, width: int) -> str:
    """Break a name into lines of at most `width`, behind punctuation where there is some."""
    lines = [""]
    for piece in re.findall(rf"[^-_.:/ ]{{1,{width - 1}}}[-_.:/ ]?|[-_.:/ ]", name):
        if len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
