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

    rows = -(-len(photos) // _COLUMNS)
    figure = Figure(figsize=(4 * _COLUMNS, 3.9 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=15)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, photo, lines in zip(cells, photos, captions, strict=False):
        # One shape for all, so that the captions stand in rows.
        cell.imshow(ImageOps.pad(open_photo(photo), (_SIDE, _SIDE * 3 // 4), color="white"))
        wrapped = "\n".join(textwrap.fill(line, 40) for line in lines)
        cell.text(0.5, -0.03, wrapped, transform=cell.transAxes, ha="center", va="top", fontsize=12)
    with replacing(path) as stream:
        figure.savefig(stream, dpi=72, format="png", bbox_inches="tight")
