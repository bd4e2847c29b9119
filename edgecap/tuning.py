"""Trying every recipe, and writing the file of the one that a budget chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import sample_photos
from edgecap.budget import Budget, Trial, choose
from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
from edgecap.timing import OtherWork, time_files
from edgecap_runtime.bundle import read_manifest, write_bundle
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, ExportReport, Prover

_TIMED_PHOTOS = 8


def export_by_budget(
    source: CaptionerSource,
    out: Path,
    budget: Budget,
    *,
    images: ParityImages,
    calibrate: CalibrationPhotos | None,
    threads: int | None = None,
    others: OtherWork | None = None,
    progress: Callable[[str, int, int], None],
) -> tuple[ExportReport, list[Trial]]:
    """Try every recipe in the file's format and write the fastest that fits.

    The file that was measured is the one that is written. What was tried is in its manifest too, as
    `source["quantization"]["tried"]`.

    Args:
        source: the captioner.
        out: the file to write.
        budget: what it may cost.
        images: what BLEU-4 is measured on; they have captions.
        calibrate: for recipes that are calibrated; without any those are left out, with a reason.
        threads: of the interpreters while they are timed.
        others: counts what other programs do meanwhile.
        progress: called with (stage, done, total).

    Raises:
        OptionError: the file's ending is no format's, or `images` have no captions.
        BudgetError: no recipe fits; nothing is written.
        EdgecapError: as `edgecap_export.export`.
    """
    from edgecap_export import Prover, recipe_names
    from edgecap_export.destination import folder_beside, writing
    from edgecap_export.formats import writer_for

    if images.references is None:
        raise OptionError("--quantize auto measures BLEU; give captioned photographs with --data")
    writer_for(out)
    names = recipe_names()
    stage = "trying recipes"
    with folder_beside(out) as folder:
        progress(stage, 0, len(names))
        prover = Prover(source, images.paths)
        calibration = None if calibrate is None else calibrate.calibration(source)
        made: dict[str, ExportReport] = {}
        refused: dict[str, str] = {}
        for place, name in enumerate(names):
            progress(stage, place, len(names))
            # Not the name: a recipe's is not for files.
            path = folder / f"{place}{out.suffix}"
            tried = _try(name, path, prover, calibration, images)
            if isinstance(tried, str):
                refused[name] = tried
            else:
                made[name] = tried
        progress(stage, len(names), len(names))
        others = others or OtherWork()
        with others.watched():
            timed = time_files(
                {name: report.path for name, report in made.items()},
                sample_photos()[:_TIMED_PHOTOS],
                threads=threads,
                progress=lambda done, total: progress("timing", done, total),
            )
        trials = [
            Trial(name, refused[name])
            if name in refused
            else _trial(made[name], timed[name].caption)
            for name in names
        ]
        tried_on = {
            "photographs": len(images.paths),
            "cores": os.cpu_count(),
            "share of others": round(others.share, 3),
        }
        while True:
            chosen = choose(trials, budget)
            packed = folder / f"packed{out.suffix}"
            _add_notes(made[chosen.recipe].path, packed, budget, trials, tried_on)
            size = packed.stat().st_size
            if budget.mb is None or size <= budget.mb * 1e6:
                break
            # What was tried is in the file, and took it over the limit.
            trials = [
                replace(trial, mb=size / 1e6) if trial is chosen else trial for trial in trials
            ]
        with writing(out):
            os.replace(packed, out)
    return replace(made[chosen.recipe], path=out, size=size), trials


def _try(
    recipe: str,
    path: Path,
    prover: Prover,
    calibration: Calibration | None,
    images: ParityImages,
) -> ExportReport | str:
    """Export by a recipe, or say why that can't be done."""
    from edgecap_export import ExportError, export

    try:
        return export(
            prover.source,
            path,
            recipe=recipe,
            prover=prover,
            # Measured all the same, so that the table shows what a recipe below its gate costs.
            gate=False,
            calibration=calibration,
            references=images.references,
            scorer=bleu4_difference,
        )
    except (OptionError, ExportError) as problem:
        return str(problem)


def _trial(report: ExportReport, ms: float) -> Trial:
    parity = report.parity
    scores = parity.scores or {}
    worst = min(scores.values(), key=lambda score: float(score["difference"]))
    return Trial(
        report.recipe,
        None if parity.passed else "below its gate: " + "; ".join(parity.failures),
        greedy=round(float(scores["greedy"]["difference"]), 4),
        beam=round(float(scores["beam"]["difference"]), 4),
        low=round(float(worst["low"]), 4),
        high=round(float(worst["high"]), 4),
        ms=round(ms, 3),
        mb=report.size / 1e6,
    )


def _add_notes(
    measured: Path,
    packed: Path,
    budget: Budget,
    trials: Iterable[Trial],
    tried_on: Mapping[str, Any],
) -> None:
    """Write a measured file anew, with what was tried in its manifest."""
    manifest = read_manifest(measured)
    source = dict(manifest.source)
    source["quantization"] = {
        **source["quantization"],
        "budget": budget.to_dict(),
        "tried": [asdict(trial) for trial in trials],
        "tried_on": dict(tried_on),
    }
    write_bundle(measured, replace(manifest, source=source), packed)
