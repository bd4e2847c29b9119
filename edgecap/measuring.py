"""How a captioner scores as files: every target, all metrics, faults, the sample photographs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import sample_photos
from edgecap.data import load_dataset
from edgecap.evaluation import Evaluation, fault_rules, judged_faults
from edgecap.exporting import CalibrationPhotos, ParityImages
from edgecap.metrics.mentions import mentions
from edgecap.record import Measurement, TargetFigures
from edgecap.targets import caption_by_files, export_targets
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.options import search_name

if TYPE_CHECKING:
    from edgecap_export import ExportReport

_CALIBRATED_ON = 128
_SHOWN = ("tflite float32", "tflite static-int8")
"""What captions the samples."""

Words = Sequence[Sequence[str]]


def measure_captioner(
    run: Path,
    data: Path,
    *,
    split: str = "dev",
    limit: int | None = None,
    made: Mapping[str, Any],
    progress: Callable[[str, int, int], None] | None = None,
) -> Measurement:
    """Export a captioner to every target and score what the files say of a split.

    Recipes that are calibrated are so on photographs of the train split, or on the samples in the
    box where there is none, or where it is what files are scored on. A file below its recipe's gate
    is measured too, and its verdict says so.

    Args:
        run: the captioner in Keras form.
        data: the dataset, in any layout.
        split: what is captioned.
        limit: its first photographs alone.
        made: "command", day and machine, to be kept.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: the data can't be read, or the captioner can't be exported.
    """
    say = progress or (lambda stage, done, total: None)
    dataset = load_dataset(data)
    chosen = dataset.split(split)[:limit]
    references = tuple(photo.captions for photo in chosen)
    images = ParityImages(tuple(photo.path for photo in chosen), references)
    given = CalibrationPhotos.choose(
        given=None, data=data, split=split, count=_CALIBRATED_ON, seed=0
    )
    calibrate = given or CalibrationPhotos.samples(count=_CALIBRATED_ON, seed=0)
    scorer = _Scorer(references, fault_rules(run))
    photos = sample_photos()
    with tempfile.TemporaryDirectory(prefix="edgecap-") as folder:
        exported = export_targets(
            run,
            Path(folder),
            images=images,
            calibrate=calibrate,
            scorer=scorer,
            gate=False,
            progress=say,
        ).made
        files = {target: exported[target].path for target in _SHOWN if target in exported}
        said = caption_by_files(files, photos, say)
        first = next(iter(exported.values()))
        manifest = read_manifest(first.path)
    own = search_name(manifest.defaults.beam)
    calibrations = [report.calibration for report in exported.values() if report.calibration]
    # A captioner whose own search is greedy is proven by a beam too, and scored by it.
    by_search = {"greedy": "greedy", search_name(first.parity.beam): "beam"}
    reports = {target: report.parity.scores or {} for target, report in exported.items()}
    scores = next(iter(reports.values()))
    return Measurement(
        data=dataset.name,
        split=split,
        images=len(chosen),
        search=own,
        calibration={
            "images": len(calibrations[0].names) if calibrations else 0,
            "of": f"the train split of {dataset.name}" if given else "the samples in the box",
            "seed": 0,
        },
        keras={name: scores[key]["keras"] for name, key in by_search.items()},
        mentions=scores[by_search[own]]["mentions"],
        targets=tuple(
            _figures(target, report, reports[target], by_search)
            for target, report in exported.items()
        ),
        samples={
            photo.name: {target: said[target][place] for target in files}
            for place, photo in enumerate(photos)
        },
        weights_sha256=manifest.source["weights_sha256"],
        made={**made, "tools": manifest.source["tools"]},
    )


def _figures(
    target: str,
    report: ExportReport,
    scores: Mapping[str, Mapping[str, Any]],
    by_search: Mapping[str, str],
) -> TargetFigures:
    suffix, recipe = target.split()
    parity = report.parity
    return TargetFigures(
        format=suffix,
        recipe=recipe,
        bytes=report.size,
        verdict=parity.verdict,
        same={
            name: parity.token_exact_greedy if key == "greedy" else parity.token_exact_beam
            for name, key in by_search.items()
        },
        scores={name: scores[key]["scores"] for name, key in by_search.items()},
        difference={name: scores[key]["difference"] for name, key in by_search.items()},
    )


class _Scorer:
    """Scores a file's captions by everything; what Keras says is scored once for each search."""

    def __init__(self, references: Sequence[Words], rules: Mapping[str, Any]) -> None:
        self._evaluation = Evaluation(references)
        self._rules = rules
        self._known: dict[tuple[tuple[str, ...], ...], Mapping[str, Any]] = {}

    def __call__(
        self, candidates: Words, baseline: Words, references: Sequence[Words]
    ) -> Mapping[str, Any]:
        """Score as `edgecap_export.parity.Scorer` asks."""
        key = tuple(map(tuple, baseline))
        if key not in self._known:
            self._known[key] = {
                "keras": self._scores(baseline),
                "mentions": mentions(baseline, references),
            }
        return {
            "scores": self._scores(candidates),
            "difference": self._evaluation.difference(candidates, baseline),
            **self._known[key],
        }

    def _scores(self, captions: Words) -> dict[str, Any]:
        faults = judged_faults(captions, self._rules)
        return {**self._evaluation.scores(captions), "faults": faults}
