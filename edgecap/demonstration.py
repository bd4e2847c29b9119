"""The whole road in one call: export to every target, prove, caption, measure, draw."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import find_run, sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
from edgecap.files import make_folder
from edgecap.pictures import write_contact_sheet
from edgecap.timing import time_files
from edgecap_runtime import Captioner

if TYPE_CHECKING:
    from edgecap_export import Calibration, ExportReport

ENOUGH = 100
"""Photographs that a proof takes."""

TARGETS = tuple(
    (suffix, recipe)
    for suffix in ("tflite", "onnx")
    for recipe in ("float32", "dynamic-int8", "static-int8")
)
"""Format and recipe of each file that is made."""

COLUMNS = ("target", "MB", "encoder ms", "ms a word", "greedy =", "beam =", "log p")
"""The heads of `TargetRow.cells`: `=` is the share of captions that are Keras' own, word for word,
`log p` is the largest difference of a log-probability at equal prefixes."""

SCORE_COLUMNS = ("target", "search", "BLEU-4", "Keras'", "difference", "95 % interval")
"""The heads of `TargetRow.scores`."""


@dataclass(frozen=True)
class TargetRow:
    """One line of the demo's table."""

    target: str
    """Format and recipe."""

    encoder_ms: float
    """Median time to encode one photograph."""

    word_ms: float
    """Median time of one decoder step, greedy, with the search around it."""

    made: ExportReport
    """What was written, and how it compares with Keras."""

    def cells(self) -> list[str]:
        """What a user asks first, as text."""
        parity = self.made.parity
        return [
            self.target,
            f"{self.made.size / 1e6:.1f}",
            f"{self.encoder_ms:.1f}",
            f"{self.word_ms:.2f}",
            f"{parity.token_exact_greedy:.1%}",
            f"{parity.token_exact_beam:.1%}",
            f"{parity.largest:.1g}",
        ]

    def scores(self) -> list[list[str]]:
        """A line of BLEU-4 for each search, where the photographs had captions."""
        return [
            [
                self.target,
                search,
                f"{score['bleu4']:.2f}",
                f"{score['bleu4_keras']:.2f}",
                f"{score['difference']:+.2f}",
                f"{score['low']:+.2f} to {score['high']:+.2f}",
            ]
            for search, score in (self.made.parity.scores or {}).items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "target": self.target,
            "encoder_ms": self.encoder_ms,
            "word_ms": self.word_ms,
            "export": self.made.to_dict(),
        }


@dataclass(frozen=True)
class Demonstration:
    """What the demo shows."""

    photos: int
    """Sample photographs captioned and timed."""

    targets: tuple[TargetRow, ...]
    """The table."""

    picture: Path
    """The contact sheet."""

    captions: dict[str, dict[str, str]]
    """Photograph to target to caption, by beam."""

    @property
    def calibration(self) -> Calibration | None:
        """What the calibrated targets are calibrated on, all on the same."""
        made = [row.made.calibration for row in self.targets]
        return next((calibration for calibration in made if calibration is not None), None)

    def verdict(self) -> str:
        """What the parity reports conclude."""
        verdicts = sorted({row.made.parity.verdict for row in self.targets})
        images = self.targets[0].made.parity.images
        if images >= ENOUGH:
            return f"{', '.join(verdicts)} on {images} photographs"
        return f"{', '.join(verdicts)} (--data proves it on {ENOUGH} or more)"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "photos": self.photos,
            "targets": [row.to_dict() for row in self.targets],
            "picture": str(self.picture),
            "captions": self.captions,
        }


def demonstrate(
    run: str | Path,
    out: Path,
    *,
    images: ParityImages,
    calibrate: CalibrationPhotos,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Demonstration:
    """Export `run` to every target and caption the samples in the box with each.

    Args:
        run: a run or a name from the box.
        out: folder for the files and the picture.
        images: the photographs that each export is proven on.
        calibrate: those that static-int8 is calibrated on.
        threads: of the interpreters.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: an export is below its gate, or something can't be written.
    """
    say = progress or (lambda stage, done, total: None)
    make_folder(out)
    photos = sample_photos()
    made = _export(run, out, images, calibrate, say)
    files = {target: report.path for target, report in made.items()}
    said = _caption(files, photos, say)
    timed = time_files(files, photos, threads=threads, progress=functools.partial(say, "timing"))
    rows = tuple(
        TargetRow(
            target=target,
            encoder_ms=timed[target].encode,
            word_ms=timed[target].word,
            made=report,
        )
        for target, report in made.items()
    )
    by_photo = [{target: said[target][place] for target in files} for place in range(len(photos))]
    picture = out / "captions.png"
    lines = [_lines(texts) for texts in by_photo]
    write_contact_sheet(photos, lines, "What the captioner says, by beam search", picture)
    captions = {path.name: texts for path, texts in zip(photos, by_photo, strict=True)}
    return Demonstration(len(photos), rows, picture, captions)


def _export(
    run: str | Path,
    out: Path,
    images: ParityImages,
    calibrate: CalibrationPhotos,
    say: Callable[[str, int, int], None],
) -> dict[str, ExportReport]:
    """Write every target; what Keras says is computed once for all of them."""
    from edgecap_export import Prover, export

    say("exporting and proving", 0, len(TARGETS) + 1)
    source = TrainedCaptioner.load(find_run(run)).source()
    prover = Prover(source, images.paths)
    calibration = calibrate.calibration(source)
    made: dict[str, ExportReport] = {}
    for suffix, recipe in TARGETS:
        say("exporting and proving", len(made) + 1, len(TARGETS) + 1)
        made[f"{suffix} {recipe}"] = export(
            source,
            out / f"captioner-{recipe}.{suffix}",
            recipe=recipe,
            prover=prover,
            references=images.references,
            scorer=bleu4_difference,
            calibration=calibration,
        )
    say("exporting and proving", len(TARGETS) + 1, len(TARGETS) + 1)
    return made


def _caption(
    files: dict[str, Path], photos: Sequence[Path], say: Callable[[str, int, int], None]
) -> dict[str, list[str]]:
    """Caption the samples by each file, as it searches by default."""
    said: dict[str, list[str]] = {}
    for place, (target, path) in enumerate(files.items()):
        say("captioning", place, len(files))
        with Captioner.load(path) as captioner:
            said[target] = [captioner.caption(photo).text for photo in photos]
    say("captioning", len(files), len(files))
    return said


def _lines(by_target: dict[str, str]) -> list[str]:
    """One line where all targets agree; else one for each different caption, with its targets."""
    targets: dict[str, list[str]] = {}
    for target, text in by_target.items():
        targets.setdefault(text, []).append(target)
    if len(targets) == 1:
        return list(targets)
    return [f"{text} [{', '.join(names)}]" for text, names in targets.items()]
