"""A captioner exported to every usual target, proven against one run of Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecap.captioner import TrainedCaptioner
from edgecap.exporting import CalibrationPhotos, ParityImages
from edgecap_runtime import Captioner

if TYPE_CHECKING:
    from edgecap_export import ExportReport, ParityError
    from edgecap_export.parity import Scorer

TARGETS = tuple(
    (suffix, recipe)
    for suffix in ("tflite", "onnx")
    for recipe in ("float32", "dynamic-int8", "static-int8")
)
"""Format and recipe of each file that is made."""

_STAGE = "exporting and proving"


@dataclass(frozen=True)
class TargetExports:
    """What became of each target."""

    results: Mapping[str, ExportReport | ParityError]
    """By "FORMAT RECIPE" what was written, or why it was refused; in the order of `TARGETS`."""

    @property
    def made(self) -> dict[str, ExportReport]:
        """Those that were written."""
        return {
            target: result
            for target, result in self.results.items()
            if not isinstance(result, Exception)
        }


def export_targets(
    run: Path,
    out: Path,
    *,
    images: ParityImages,
    calibrate: CalibrationPhotos,
    scorer: Scorer,
    gate: bool = True,
    progress: Callable[[str, int, int], None],
) -> TargetExports:
    """Write every target; what Keras says is computed once for all of them.

    A target below its recipe's gate is refused, and an older file of it is deleted; the others go
    on.

    Args:
        run: the captioner in Keras form.
        out: folder for the files, `captioner-RECIPE.SUFFIX`.
        images: what each file is proven on, with references for the scorer if there are any.
        calibrate: what the calibrated recipes are calibrated on.
        scorer: scores captions of images that have references.
        gate: whether a file below its recipe's gate is refused; if not, its report says so.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: as for `edgecap_export.export`, but for `ParityError`.
    """
    from edgecap_export import ParityError, Prover, export
    from edgecap_export.destination import writing

    progress(_STAGE, 0, len(TARGETS) + 1)
    source = TrainedCaptioner.load(run).source()
    prover = Prover(source, images.paths, progress)
    calibration = calibrate.calibration(source, progress)
    results: dict[str, ExportReport | ParityError] = {}
    for index, (suffix, recipe) in enumerate(TARGETS):
        progress(_STAGE, index + 1, len(TARGETS) + 1)
        target, path = f"{suffix} {recipe}", out / f"captioner-{recipe}.{suffix}"
        try:
            results[target] = export(
                source,
                path,
                recipe=recipe,
                prover=prover,
                references=images.references,
                scorer=scorer,
                gate=gate,
                calibration=calibration,
                progress=progress,
            )
        except ParityError as problem:
            results[target] = problem
            with writing(path):
                path.unlink(missing_ok=True)
    progress(_STAGE, len(TARGETS) + 1, len(TARGETS) + 1)
    return TargetExports(results)


def caption_by_files(
    files: Mapping[str, Path], photos: Sequence[Path], say: Callable[[str, int, int], None]
) -> dict[str, list[str]]:
    """Caption photographs by each file, as it searches by default.

    files: by a name for each; say: called with (stage, done, total). Gives the captions by name.
    """
    said: dict[str, list[str]] = {}
    for place, (target, path) in enumerate(files.items()):
        say("captioning", place, len(files))
        with Captioner.load(path) as captioner:
            said[target] = [captioner.caption(photo).text for photo in photos]
    say("captioning", len(files), len(files))
    return said
