"""A sensitivity report as people read it: tables, a sentence on what to keep, CSV and a picture."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from edgecap.files import make_folder
from edgecap.sensitivity import Damage, Sensitivity
from edgecap_runtime.atomic import replacing

HEADS = (
    "kB\nsaved", "captions\nchanged", "log\np", "BLEU-4", "95 %\ninterval", "image\nms", "word\nms",
)  # fmt: skip
"""The heads of `cells`, after that of the name."""

LEGEND = (
    "captions changed: that are others than Keras', word for word, greedy",
    "log p: 99th percentile of the difference of a log-probability from Keras' at equal prefixes, "
    "which rows are sorted by",
    "BLEU-4: corpus BLEU-4 minus Keras', greedy, with its bootstrap interval",
    "ms: to encode an image, and a word; each measured in turns with the float32 file",
)
"""What the heads mean."""

_WORTH_IT = 0.1
"""Share of log p that keeping blocks must save to be worth a word."""
_AS_GOOD = 0.05
"""Of two sets of blocks to keep that differ by less than this share of log p, the smaller."""

# Distinct in grey and to colour-blind eyes (Okabe and Ito 2008).
_COLOURS = {
    "part": ("#0072B2", "a part"),
    "block": ("#56B4E9", "a block of the encoder"),
    "worst": ("#D55E00", "the block that hurts most"),
    "all": ("#000000", "all parts"),
    "kept": ("#009E73", "all parts, but those blocks in float32"),
}


def tables(report: Sensitivity) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Give title, heads and rows of each table that there is something to put in."""
    parts = [report.plain, *report.by_damage("part"), report.whole]
    blocks = report.by_damage("block")
    kept = [cells(row, f"{'and' if place else 'but'} {row.name}", report.whole.bytes_saved)
            for place, row in enumerate(report.kept)]  # fmt: skip
    found = [
        ("One part at a time, all else in float32", "quantized", [cells(row) for row in parts]),
        ("Within the encoder, one block at a time", "quantized", [cells(row) for row in blocks]),
        (
            "All parts, without the blocks that hurt most",
            "quantized",
            [cells(report.whole), *kept] if kept else [],
        ),
    ]
    return [(title, (first, *HEADS), rows) for title, first, rows in found if rows]


def cells(row: Damage, name: str | None = None, whole: int | None = None) -> list[str]:
    """Give a row as text.

    name: what to call it; whole: bytes that all parts save, where the row says how much less.
    """
    score = row.bleu4
    return [
        name or row.name,
        f"{row.bytes_saved / 1e3:,.0f}".replace("-0", "0"),
        f"{row.changed:.1%}",
        f"{row.p99:.2g}",
        "-" if score is None else f"{score['difference']:+.2f}",
        "-" if score is None else f"{score['low']:+.2f} to {score['high']:+.2f}",
        f"{row.encode_ms:.1f}",
        f"{row.word_ms:.2f}",
    ]
