"""Choosing a recipe by a budget: all are tried and measured, the fastest that fits is taken."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import sample_photos
from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
from edgecap.timing import time_files
from edgecap_runtime.errors import EdgecapError, OptionError

if TYPE_CHECKING:
    from edgecap_export import CaptionerSource, ExportReport

COLUMNS = ("recipe", "BLEU-4 lost", "95 % interval", "ms", "MB", "")
"""The heads of `Trial.cells`."""

_TIMED_PHOTOS = 8
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Budget:
    """What a file may cost; None for anything. Raises `OptionError` for a senseless limit."""

    bleu_loss: float | None
    """Points of corpus BLEU-4, greedy and beam each, mean over the photographs."""

    ms: float | None = None
    """Milliseconds a caption: preparation, encoder and words, greedy, on this machine."""

    mb: float | None = None
    """Megabytes (10^6 bytes)."""

    def __post_init__(self) -> None:
        if self.bleu_loss is not None and self.bleu_loss < 0:
            raise OptionError(
                f"--max-bleu-loss is {self.bleu_loss:g}; give 0 or more (points of BLEU-4)"
            )
        for name, value in (("--max-ms", self.ms), ("--max-mb", self.mb)):
            if value is not None and value <= 0:
                raise OptionError(f"{name} is {value:g}; give a number above 0")

    def excess(self, trial: Trial) -> dict[str, float]:
        """Give by how much a trial is over each limit that it breaks."""
        pairs = {
            "BLEU-4": (trial.loss, self.bleu_loss),
            "ms": (trial.ms, self.ms),
            "MB": (trial.mb, self.mb),
        }
        return {
            name: value - limit
            for name, (value, limit) in pairs.items()
            if value is not None and limit is not None and value > limit
        }

    def shares(self, trial: Trial) -> float:
        """Give the largest of a trial's costs over their limits: at most 1 where all fit."""
        pairs = ((trial.loss, self.bleu_loss), (trial.ms, self.ms), (trial.mb, self.mb))
        # A limit of 0 has no shares; any cost counts as far over it.
        return max(
            (
                value / max(limit, _SMALLEST)
                for value, limit in pairs
                if value is not None and limit is not None
            ),
            default=0.0,
        )


@dataclass(frozen=True)
class Trial:
    """One recipe, tried."""

    recipe: str
    """Its name."""

    reason: str | None = None
    """Why the format can't have it; what follows is None then."""

    loss: float | None = None
    """Corpus BLEU-4 lost, the larger of greedy and beam, at least 0: a gain is no loss."""

    interval: tuple[float, float] | None = None
    """95 % interval of that search's difference, file minus Keras."""

    ms: float | None = None
    """Median time of a caption, milliseconds."""

    mb: float | None = None
    """Size, 10^6 bytes."""

    def cells(self, budget: Budget, chosen: str | None) -> list[str]:
        """Give it as text."""
        if self.reason is not None or self.loss is None or self.interval is None:
            return [self.recipe, "-", "-", "-", "-", self.reason or ""]
        over = budget.excess(self)
        remark = "chosen" if self.recipe == chosen else ""
        if over:
            remark = "over by " + ", ".join(f"{by:.2g} {name}" for name, by in over.items())
        low, high = self.interval
        return [
            self.recipe,
            f"{self.loss:.2f}",
            f"{low:+.2f} to {high:+.2f}",
            f"{self.ms:.1f}",
            f"{self.mb:.1f}",
            remark,
        ]


class BudgetError(EdgecapError):
    """No recipe fits the budget; the file was not written."""

    def __init__(self, message: str, trials: Sequence[Trial]) -> None:
        super().__init__(message)
        self.trials = tuple(trials)
        """What was tried."""


def choose(trials: Sequence[Trial], budget: Budget) -> str:
    """Name the fastest recipe that fits; of equally fast ones the smallest.

    Raises:
        BudgetError: none fits; the sentence says which limit is broken by how much, by the recipe
            that comes nearest.
    """
    possible = [trial for trial in trials if trial.reason is None]
    fitting = [trial for trial in possible if not budget.excess(trial)]
    if fitting:
        return min(fitting, key=lambda trial: (trial.ms or 0.0, trial.mb or 0.0)).recipe
    if not possible:
        raise BudgetError("no recipe can be had in this format; choose the other one", trials)
    nearest = min(possible, key=budget.shares)
    over = " and ".join(
        f"{by:.2g} {name} over the budget" for name, by in budget.excess(nearest).items()
    )
    raise BudgetError(
        f"no recipe fits the budget; the nearest is {nearest.recipe}, which is {over}: allow that, "
        f"or export with --quantize {nearest.recipe}",
        trials,
    )


def export_by_budget(
    source: CaptionerSource,
    out: Path,
    budget: Budget,
    *,
    images: ParityImages,
    calibrate: CalibrationPhotos | None,
    threads: int | None = None,
    progress: Callable[[str, int, int], None],
) -> tuple[ExportReport, list[Trial]]:
    """Try every recipe in the file's format and write the fastest that fits.

    Args:
        source: the captioner.
        out: the file to write.
        budget: what it may cost.
        images: what BLEU-4 is measured on; they have captions.
        calibrate: for recipes that are calibrated; without any those are left out, with a reason.
        threads: of the interpreters while they are timed.
        progress: called with (stage, done, total).

    Raises:
        BudgetError: none fits; nothing is written.
        EdgecapError: as `edgecap_export.export`.
    """
    from edgecap_export import Prover, export, recipe_named, recipe_names

    names = recipe_names()
    stage = "trying recipes"
    progress(stage, 0, len(names) + 1)
    prover = Prover(source, images.paths)
    calibration = None
    if calibrate is not None:
        calibration = calibrate.calibration(source, _silent)
    common: dict[str, Any] = {
        "prover": prover,
        "calibration": calibration,
        "references": images.references,
        "scorer": bleu4_difference,
    }
    made: dict[str, ExportReport] = {}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="edgecap-auto-") as folder:
        for place, name in enumerate(names):
            progress(stage, place, len(names) + 1)
            path = Path(folder) / f"{name}{out.suffix}"
            try:
                made[name] = export(source, path, recipe=name, **common)
            except EdgecapError as problem:
                if "float32" not in made:
                    raise
                refused[name] = str(problem)
        progress(stage, len(names), len(names) + 1)
        timed = time_files(
            {name: report.path for name, report in made.items()},
            sample_photos()[:_TIMED_PHOTOS],
            threads=threads,
            progress=lambda done, total: progress("timing", done, total),
        )
    trials = [
        Trial(name, reason=refused[name])
        if name in refused
        else _trial(made[name], timed[name].caption)
        for name in names
    ]
    chosen = choose(trials, budget)
    notes = {
        "budget": asdict(budget),
        "tried": [asdict(trial) for trial in trials],
        "tried_on": {"cores": os.cpu_count(), "images": len(images.paths)},
    }
    report = export(source, out, recipe=recipe_named(chosen), notes=notes, **common)
    progress(stage, len(names) + 1, len(names) + 1)
    return report, trials


def _trial(report: ExportReport, ms: float) -> Trial:
    scores = report.parity.scores or {}
    worst = min(scores.values(), key=lambda score: float(score["difference"]))
    return Trial(
        report.recipe,
        loss=max(0.0, -float(worst["difference"])),
        interval=(float(worst["low"]), float(worst["high"])),
        ms=ms,
        mb=report.size / 1e6,
    )


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody of progress."""
