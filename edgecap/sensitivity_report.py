"""A sensitivity report as people read it: tables, sentences on what to keep, CSV and a picture."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import IO, Any

from edgecap.files import make_folder
from edgecap.sensitivity import Damage, Sensitivity
from edgecap_runtime.atomic import replacing

HEADS = ("quantized", "MB\nsaved", "changed", "log\np", "BLEU-4", "95 %\ninterval", "image\nms",
         "word\nms")  # fmt: skip
"""The heads of the tables."""

LEGEND = (
    "changed: captions that are others than Keras', greedy",
    "log p: 99th percentile of the difference of a log-probability from Keras' at equal prefixes",
    "BLEU-4: corpus BLEU-4 minus Keras', greedy, and its bootstrap interval",
    "ms: to encode an image, and a word; each timed in turns with the float32 file",
)
"""What the heads mean."""

_GAIN = 0.1
"""Share of log p that keeping blocks in float32 must save to be advised."""
_AS_GOOD = 0.05
"""Of two sets of blocks whose log p differs by a smaller share, the smaller set is advised."""

# Distinct in grey and to colour-blind eyes (Okabe and Ito 2008).
_COLOURS = {"part": "#0072B2", "block": "#56B4E9", "worst": "#D55E00", "all": "#000000",
            "kept": "#009E73"}  # fmt: skip
_NAMES = {
    "part": "one part",
    "block": "one block of the encoder",
    "worst": "the block that hurts most",
    "all": "all parts",
    "kept": "all parts; this block, and those in green above, in float32",
}


def tables(report: Sensitivity) -> dict[str, list[list[str]]]:
    """Give the rows of each table, by its title, the rows that hurt most first."""
    whole = _cells(report.whole)
    blocks = [_cells(row) for row in report.by_damage("block")]
    found = {
        f"{report.recipe}, one part at a time": [
            _cells(report.plain),
            *(_cells(row) for row in report.by_damage("part")),
            whole,
        ],
        "within the encoder, one block at a time": blocks,
        "all parts, with the blocks that hurt most in float32": [
            whole,
            *(_cells(row, _kept_name(row)) for row in report.kept),
        ],
    }
    if not report.kept:
        found.popitem()
    return {title: rows for title, rows in found.items() if rows}


def verdict(report: Sensitivity) -> list[str]:
    """Say in a few lines what hurts most, and what keeping it in float32 brings."""
    blocks = report.by_damage("block")
    said = [_alone("Of the parts", report.by_damage("part")[0])]
    if blocks:
        said.append(_alone("Of the encoder's blocks", blocks[0]))
    if report.spared:
        said.append(f"All parts are quantized but {', '.join(report.spared)}, which stay float32")
    if not report.kept:
        return said
    best = advised(report)
    shown = [report.kept[0]] if best in (None, report.kept[0]) else [report.kept[0], best]
    said += [_instead(row, report.whole) + (": advised" * (row is best)) for row in shown if row]
    if best is None:
        said.append(
            "No block is worth keeping in float32: log p hardly falls, for all of them share in it"
        )
    return said


def advised(report: Sensitivity) -> Damage | None:
    """Give the row of the blocks that are worth keeping in float32, None if none are."""
    least = min((row.harm[0] for row in report.kept), default=math.inf)
    if not least < (1 - _GAIN) * report.whole.harm[0]:
        return None
    return next(row for row in report.kept if row.harm[0] <= least * (1 + _AS_GOOD))


def write_report(report: Sensitivity, folder: Path) -> Path:
    """Write sensitivity.json, .csv and .png into a folder; gives the picture's path.

    Raises:
        EdgecapError: they can't be written.
    """
    make_folder(folder)
    with replacing(folder / "sensitivity.json") as stream:
        stream.write((json.dumps(to_dict(report), indent=2) + "\n").encode())
    with replacing(folder / "sensitivity.csv") as stream:
        stream.write(_csv(report).encode())
    picture = folder / "sensitivity.png"
    with replacing(picture) as stream:
        _draw(report, stream)
    return picture


def to_dict(report: Sensitivity) -> dict[str, Any]:
    """Give it as what JSON can hold, with the conclusions."""
    best = advised(report)
    blocks = report.by_damage("block")
    return {
        **report.to_dict(),
        "worst_block": blocks[0].name if blocks else None,
        "keep_float": [] if best is None else list(best.keeps),
        "verdict": verdict(report),
    }


def _alone(among: str, row: Damage) -> str:
    return (
        f"{among}, {row.name} hurts most: quantized alone it changes {row.changed:.1%} of the "
        f"captions (log p {row.p99:.2g})"
    )


def _instead(row: Damage, whole: Damage) -> str:
    """Say what keeping blocks brings, next to quantizing all parts."""
    larger = (whole.bytes_saved - row.bytes_saved) / 1e3
    return (
        f"--keep-float {','.join(row.keeps)} changes {row.changed:.1%} of the captions instead of "
        f"{whole.changed:.1%} (log p {row.p99:.2g} instead of {whole.p99:.2g}), and costs "
        f"{larger:,.0f} kB and {row.encode_ms - whole.encode_ms:+.1f} ms an image"
    )


def _kept_name(row: Damage) -> str:
    return f"{'but' if len(row.keeps) == 1 else '&'} {row.name}"


def _cells(row: Damage, name: str | None = None) -> list[str]:
    score = row.bleu4
    return [
        name or row.name,
        # The addend takes the sign from a zero: small blocks cost some bytes.
        f"{round(row.bytes_saved / 1e6, 2) + 0.0:.2f}",
        f"{row.changed:.1%}",
        f"{row.p99:.2g}",
        "-" if score is None else f"{score['difference']:+.2f}",
        "-" if score is None else f"{score['low']:+.2f} to {score['high']:+.2f}",
        f"{row.encode_ms:.1f}",
        f"{row.word_ms:.2f}",
    ]


def _csv(report: Sensitivity) -> str:
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    scores = ("difference", "low", "high")
    table.writerow(
        ["quantized", "kind", "keep_float", "bytes_saved", "captions_changed", "log_p_p99"]
        + [f"bleu4_{name}" for name in scores]
        + ["encode_ms", "word_ms"]
    )
    for row in (report.plain, *report.rows, *report.kept):
        table.writerow(
            [
                "all parts" if row.keeps else row.name,
                row.kind,
                ",".join(row.keeps),
                row.bytes_saved,
                f"{row.changed:.4f}",
                f"{row.p99:.5f}",
                *(f"{row.bleu4[name]:.3f}" if row.bleu4 else "" for name in scores),
                f"{row.encode_ms:.3f}",
                f"{row.word_ms:.4f}",
            ]
        )
    return lines.getvalue()


def _draw(report: Sensitivity, stream: IO[bytes]) -> None:
    """Draw a bar for each row, from the photograph at the top to the words at the bottom."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = [*report.rows, *report.kept]
    worst = next(iter(report.by_damage("block")), None)
    kinds = ["worst" if row is worst else row.kind for row in rows]
    figure = Figure(figsize=(9, 0.27 * len(rows) + 2.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(rows))
    reach = [row.p99 if math.isfinite(row.p99) else 0.0 for row in rows]
    axes.barh(places, reach, color=[_COLOURS[kind] for kind in kinds], height=0.75)
    for place, row in enumerate(rows):
        unknown = "" if math.isfinite(row.p99) else "not a number; "
        axes.annotate(
            f"{unknown}{row.changed:.0%}",
            (reach[place], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    names = [_drawn_name(row) for row in rows]
    axes.set_yticks(list(places), names, fontsize=9)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        if row.kind in ("part", "all"):
            label.set_fontweight("bold")
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(
        "bar: difference of a log-probability from Keras', 99th percentile (nats); "
        "number: captions changed",
        fontsize=9,
    )
    figure.suptitle(
        f"What {report.recipe} does to the words, one part or block at a time, all else float32\n"
        f"{report.format}, {report.images} photographs; from the image, above, to the words, below",
        fontsize=11,
    )
    shown = [kind for kind in _COLOURS if kind in kinds]
    figure.legend(
        [Patch(color=_COLOURS[kind]) for kind in shown],
        [_NAMES[kind] for kind in shown],
        loc="outside lower center",
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    figure.savefig(stream, dpi=110, format="png")


def _drawn_name(row: Damage) -> str:
    return _kept_name(row) if row.kind == "kept" else row.name
