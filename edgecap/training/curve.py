"""The training curve, as a table and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from edgecap.training.checkpoint import Epoch
from edgecap_runtime.atomic import replacing


def curve_of(history: Sequence[Epoch]) -> list[dict[str, Any]]:
    """Give the epochs as a run's record keeps them."""
    return [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in vars(epoch).items()
        }
        | {"bleu": [round(value, 3) for value in epoch.bleu], "seconds": round(epoch.seconds, 1)}
        for epoch in history
    ]


def write_curve(history: Sequence[Epoch], folder: Path, search: str = "greedy") -> None:
    """Write `history.csv` and `curve.png` into the run; search: by which dev was captioned."""
    lines = io.StringIO()
    table = csv.writer(lines)
    bleu_names = [f"dev_bleu{n}" for n in (1, 2, 3, 4)]
    table.writerow(
        ["epoch", "phase", "loss", "reward", "learning_rate", *bleu_names, "dev_cider_d", "seconds"]
    )
    for row in history:
        bleu = [f"{value:.3f}" for value in row.bleu]
        rate = f"{row.learning_rate:.3g}"
        learned = ["" if value is None else f"{value:.5f}" for value in (row.loss, row.reward)]
        cider = "" if row.cider_d is None else f"{row.cider_d:.5f}"
        table.writerow([row.epoch, row.phase, *learned, rate, *bleu, cider, f"{row.seconds:.1f}"])
    with replacing(folder / "history.csv") as stream:
        stream.write(lines.getvalue().encode())
    with replacing(folder / "curve.png") as stream:
        _draw(history, stream, search)


def _draw(history: Sequence[Epoch], stream: IO[bytes], search: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row.epoch for row in history]
    words = [row for row in history if row.loss is not None]
    captions = [row for row in history if row.reward is not None]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, score = figure.subplots(1, 2)
    blue, red = "tab:blue", "tab:red"
    loss.plot([row.epoch for row in words], [row.loss for row in words], marker="o", color=blue)
    loss.set(title="training loss a word", xlabel="epoch")
    if captions:
        loss.set(title="loss a word (blue), then samples' reward (red)")
        reward = loss.twinx()
        rewards = [row.reward for row in captions]
        reward.plot([row.epoch for row in captions], rewards, marker="o", color=red)
    for order in range(4):
        values = [row.bleu[order] for row in history]
        score.plot(epochs, values, marker="o", label=f"BLEU-{order + 1}")
        score.annotate(
            f"{max(values):.1f}",
            (epochs[values.index(max(values))], max(values)),
            textcoords="offset points",
            xytext=(0, 6),
            ha="center",
            fontsize=8,
        )
    score.set(title=f"dev, corpus BLEU, {search}", xlabel="epoch", ylim=(0, None))
    score.margins(y=0.15)
    score.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    for axes in (loss, score):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.savefig(stream, dpi=110, format="png")
