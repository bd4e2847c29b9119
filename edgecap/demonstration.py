"""The whole road in one call: export to every target, prove, caption, measure, draw."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import find_run, sample_photos
from edgecap.captioner import read_design
from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
from edgecap.files import make_folder
from edgecap.pictures import write_contact_sheet
from edgecap.targets import caption_by_files, export_targets
from edgecap.timing import Timing, time_files
from edgecap_runtime.options import search_name

if TYPE_CHECKING:
    from edgecap_export import Calibration, ExportReport
    from edgecap_export.parity import Parity

ENOUGH = 100
"""Photographs that a proof takes."""

COLUMNS = ("target", "MB", "encoder ms", "ms a word", "greedy =", "beam =", "log p")
"""The heads of `TargetRow.cells`: `=` is the share of captions that are Keras' own, word for word,
`log p` is the largest difference of a log-probability at equal prefixes."""

SCORE_COLUMNS = ("target", "search", "BLEU-4", "Keras'", "difference", "95 % interval")
"""The heads of `TargetRow.scores`."""


@dataclass(frozen=True)
class TargetRow:
    """One line of the demo's table: a file, or a target that was refused."""

    target: str
    """Format and recipe."""

    parity: Parity
    """How it compares with Keras."""

    made: ExportReport | None = None
    """What was written; None for a refused target."""

    timing: Timing | None = None
    """Its median times; None for a refused target."""

    refused: str | None = None
    """Why there is no file, and what to do, in a sentence; None where there is one."""

    def cells(self) -> list[str]:
        """What a user asks first, as text."""
        timing = self.timing
        return [
            self.target,
            "refused" if self.made is None else f"{self.made.size / 1e6:.1f}",
            "-" if timing is None else f"{timing.encode:.1f}",
            "-" if timing is None else f"{timing.word:.2f}",
            f"{self.parity.token_exact_greedy:.1%}",
            f"{self.parity.token_exact_beam:.1%}",
            f"{self.parity.largest:.1g}",
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
            for search, score in (self.parity.scores or {}).items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "target": self.target,
            "refused": None
            if self.refused is None
            else {"reason": self.refused, "parity": self.parity.to_dict()},
            "encoder_ms": None if self.timing is None else self.timing.encode,
            "word_ms": None if self.timing is None else self.timing.word,
            "export": None if self.made is None else self.made.to_dict(),
        }


@dataclass(frozen=True)
class Demonstration:
    """What the demo shows."""

    photos: int
    """Sample photographs captioned and timed."""

    targets: tuple[TargetRow, ...]
    """The table."""

    picture: Path | None
    """The contact sheet; None where every target was refused."""

    captions: dict[str, dict[str, str]]
    """Photograph to target to caption, by the captioner's own search."""

    @property
    def calibration(self) -> Calibration | None:
        """What the calibrated targets are calibrated on, all on the same."""
        made = [row.made.calibration for row in self.targets if row.made is not None]
        return next((calibration for calibration in made if calibration is not None), None)

    @property
    def holds(self) -> bool:
        """Whether no float32 target was refused: float32 says Keras' words on any machine."""
        plain = [row for row in self.targets if row.target.endswith(" float32")]
        return all(row.refused is None for row in plain)

    def verdict(self) -> str:
        """What the parity reports conclude."""
        verdicts = sorted({row.parity.verdict for row in self.targets if row.refused is None})
        refused = [row.target for row in self.targets if row.refused is not None]
        if refused:
            verdicts.append(f"refused: {', '.join(refused)}")
        images = self.targets[0].parity.images
        if images >= ENOUGH:
            return f"{'; '.join(verdicts)} on {images} photographs"
        return f"{'; '.join(verdicts)} (--data proves it on {ENOUGH} or more)"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "photos": self.photos,
            "targets": [row.to_dict() for row in self.targets],
            "picture": None if self.picture is None else str(self.picture),
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

    A target below its recipe's gate is a row that says so; it is neither timed nor in the picture.

    Args:
        run: a run or a name from the box.
        out: folder for the files and the picture.
        images: the photographs that each export is proven on.
        calibrate: those that static-int8 is calibrated on.
        threads: of the interpreters.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: the captioner can't be exported, or something can't be written.
    """
    say = progress or (lambda stage, done, total: None)
    make_folder(out)
    photos = sample_photos()
    exports = export_targets(
        find_run(run),
        out,
        images=images,
        calibrate=calibrate,
        scorer=bleu4_difference,
        progress=say,
    )
    files = {target: report.path for target, report in exports.made.items()}
    said = caption_by_files(files, photos, say)
    timed = time_files(files, photos, threads=threads, progress=functools.partial(say, "timing"))
    by_photo = [{target: said[target][index] for target in files} for index in range(len(photos))]
    picture = out / "captions.png" if files else None
    if picture is not None:
        design = read_design(find_run(run))
        title = f"What {design.name} says, {search_name(design.defaults.beam)}"
        write_contact_sheet(photos, [_lines(texts) for texts in by_photo], title, picture)
    captions = {path.name: texts for path, texts in zip(photos, by_photo, strict=True)}
    rows = tuple(
        TargetRow(target, result.parity, refused=str(result))
        if isinstance(result, Exception)
        else TargetRow(target, result.parity, result, timed[target])
        for target, result in exports.results.items()
    )
    return Demonstration(len(photos), rows, picture, captions)


def _lines(by_target: dict[str, str]) -> list[str]:
    """One line where all targets agree; else one for each different caption, with its targets."""
    targets: dict[str, list[str]] = {}
    for target, text in by_target.items():
        targets.setdefault(text, []).append(target)
    if len(targets) == 1:
        return list(targets)
    return [f"{text} [{', '.join(names)}]" for text, names in targets.items()]
