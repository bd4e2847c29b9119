"""The hand-written parts of a card, by the section that they belong to."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from edgecap_runtime.errors import EdgecapError

__all__ = ["OPENING", "Sections", "prose_of_data", "read_sections", "sections_of"]

OPENING = ""
"""The section of what stands before the first heading."""

Sections = dict[str, str]
"""Text by its heading, in order."""

_HEADING = re.compile(r"^## +(.+?) *$", re.MULTILINE)


def sections_of(text: str) -> Sections:
    """Take a Markdown text apart at its headings of the second level."""
    opening, *rest = _HEADING.split(text)
    found = {OPENING: opening.strip()}
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        found[heading] = body.strip()
    return {heading: body for heading, body in found.items() if body}


def read_sections(path: Path) -> Sections:
    """Read the notes of a captioner; there may be none.

    Raises:
        EdgecapError: the file can't be read.
    """
    try:
        return sections_of(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError) as problem:
        raise EdgecapError(
            f"can't read {str(path)!r} ({problem}); make it a UTF-8 text file, or take it away"
        ) from problem


def prose_of_data(name: str) -> Sections:
    """Give what is true of every captioner that learned from a dataset; nothing for others."""
    for file in resources.files("edgecap.cards").iterdir():
        if file.name == f"{name}.md":
            return sections_of(file.read_text("utf-8"))
    return {}
