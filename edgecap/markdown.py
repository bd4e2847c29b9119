"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown_row", "markdown_table"]


def markdown_row(cells: Sequence[str]) -> str:
    """Give a row of a table."""
    return f"| {' | '.join(cells)} |"


def markdown_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1
) -> list[str]:
    """Give a table's lines.

    Args:
        head: a name for each column.
        rows: a cell for each column.
        texts: how many columns from the left hold text; the others hold figures.
    """
    aligned = ["---"] * texts + ["--:"] * (len(head) - texts)
    return [markdown_row(row) for row in (head, aligned, *rows)]
