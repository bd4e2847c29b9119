"""Pictures that people would rather see than read about."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageOps

from edgecap_runtime.atomic import replacing
from edgecap_runtime.preparation import open_photo

_COLUMNS = 4
_SIDE = 480
_SIGNS = 40
"""In a line below a photograph."""

# In inches, on the sheet.
_WIDTH, _HEIGHT = 3.84, 2.88
_GAP = 0.16
_LINE = 0.2
_TITLE = 0.5


def write_contact_sheet(
    photos: Sequence[Path], captions: Sequence[Sequence[str]], title: str, path: Path
) -> None:
    """Write a sheet of photographs with what was said of each.

    Args:
        photos: the image files.
        captions: for each photograph the lines below it; where several targets agree, one line.
        title: above the sheet.
        path: the PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wrapped = ["\n".join(textwrap.fill(line, _SIGNS) for line in lines) for lines in captions]
    # A row is as high as its longest captions, or the next one's photographs would cover them.
    rows = [range(first, len(photos))[:_COLUMNS] for first in range(0, len(photos), _COLUMNS)]
    lines_of = [1 + max(wrapped[place].count("\n") for place in row) for row in rows]
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP
    height = _TITLE + sum(_HEIGHT + lines * _LINE + 2 * _GAP for lines in lines_of)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - _TITLE / 2 / height, title, ha="center", va="center", fontsize=15)
    top = height - _TITLE
    for row, lines in zip(rows, lines_of, strict=True):
        for column, place in enumerate(row):
            left = _GAP + column * (_WIDTH + _GAP)
            cell = figure.add_axes(
                (left / width, (top - _HEIGHT) / height, _WIDTH / width, _HEIGHT / height)
            )
            cell.axis("off")
            # One shape for all, so that the captions stand in rows.
            photo = ImageOps.pad(open_photo(photos[place]), (_SIDE, _SIDE * 3 // 4), color="white")
            cell.imshow(photo)
            cell.text(
                0.5, -0.03, wrapped[place], transform=cell.transAxes, ha="center", va="top",
                fontsize=12,
            )  # fmt: skip
        top -= _HEIGHT + lines * _LINE + 2 * _GAP
    with replacing(path) as stream:
        figure.savefig(stream, dpi=72, format="png")
