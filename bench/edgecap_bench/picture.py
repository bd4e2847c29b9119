"""The report as a picture: what a caption's time is made of, target by target."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecap_bench.names import folded
from edgecap_bench.report import HERE, stacked_ms
from edgecap_runtime.atomic import replacing

__all__ = ["break_between", "draw_report"]

# Distinct in grey and to colour-blind eyes (Okabe and Ito 2008).
_COLOURS = {"prepare": "#56B4E9", "encode": "#E69F00", "words": "#009E73"}
_WORTH_A_BREAK = 3.0
_NAME_WIDTH = 36


def break_between(totals: Sequence[float]) -> tuple[float, float] | None:
    """Find where an axis from 0 is to be broken: the widest gap between neighbouring totals.

    Returns the totals on both sides of the gap, or None where no gap is wide enough that a break
    would help (a factor of 3).
    """
    ordered = sorted(totals)
    pairs = [(low, high) for low, high in itertools.pairwise(ordered) if low > 0]
    widest = max(pairs, key=lambda pair: pair[1] / pair[0], default=None)
    if widest is None or widest[1] < _WORTH_A_BREAK * widest[0]:
        return None
    return widest


def draw_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the picture as a PNG; without a single measured target nothing is written.

    Raises `EdgecapError` if it can't be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = {_label(row, report): stacked_ms(row) for row in report["rows"]}
    bars = {label: values for label, values in parts.items() if values is not None}
    if not bars:
        return
    totals = {label: sum(values) for label, values in bars.items()}
    gap = break_between(list(totals.values()))
    figure = Figure(figsize=(9, 1.9 + 0.42 * len(bars)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    if gap is None:
        panels = [figure.subplots()]
        panels[0].set_xlim(0, 1.18 * max(totals.values()))
    else:
        panels = list(figure.subplots(1, 2, sharey=True, width_ratios=(3, 1)))
        panels[0].set_xlim(0, 1.25 * gap[0])
        # The far panel begins before its shortest bar ends, so that each bar is seen to reach it.
        panels[1].set_xlim(0.8 * gap[1], 1.3 * max(totals.values()))
    for panel in panels:
        _draw_bars(panel, bars)
    _label_totals(panels, totals, gap)
    if gap is not None:
        _mark_break(panels[0], panels[1])
    first = panels[0]
    first.set_yticks(range(len(bars)), list(bars))
    first.invert_yaxis()
    first.set_xlabel("ms per caption, greedy (median of each part)")
    settings, machine = report["settings"], report["machine"]
    figure.suptitle(
        f"{report['captioner']}: from photograph to words\n"
        f"{machine['cpu']}, threads: {', '.join(map(str, settings['threads']))}, "
        f"rounds: {settings['rounds']}",
        fontsize=11,
    )
    handles, names = first.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    with replacing(path) as stream:
        figure.savefig(stream, format="png")


def _label(row: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Give a target's name, with its threads and device where a report has several.

    It is marked where each word takes a run over the whole prefix.
    """
    label = folded(row["target"], _NAME_WIDTH)
    if len(report["settings"]["threads"]) > 1 and row["threads"] is not None:
        label += f", {row['threads']} thread{'s' * (row['threads'] > 1)}"
    if len(report["devices"]) > 1 and row["device"] != HERE:
        label += f"\n{row['device']}"
    return label + (" (prefix)" if row["kind"] == "prefix" else "")


def _draw_bars(panel: Any, bars: Mapping[str, Sequence[float]]) -> None:
    left = [0.0] * len(bars)
    for place, (part, colour) in enumerate(_COLOURS.items()):
        widths = [values[place] for values in bars.values()]
        panel.barh(range(len(bars)), widths, left=left, color=colour, label=part, height=0.7)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)


def _label_totals(
    panels: Sequence[Any], totals: Mapping[str, float], gap: tuple[float, float] | None
) -> None:
    for place, total in enumerate(totals.values()):
        panel = panels[-1] if gap is not None and total >= gap[1] else panels[0]
        text = f" {total:.0f}" if total >= 100 else f" {total:.1f}"
        panel.text(total, place, text, va="center", fontsize=9)


def _mark_break(near: Any, far: Any) -> None:
    near.spines["right"].set_visible(False)
    far.spines["left"].set_visible(False)
    far.tick_params(left=False)
    slash = {
        "marker": [(-1, -2), (1, 2)],
        "markersize": 9,
        "linestyle": "none",
        "color": "black",
        "clip_on": False,
    }
    near.plot([1, 1], [0, 1], transform=near.transAxes, **slash)
    far.plot([0, 0], [0, 1], transform=far.transAxes, **slash)
