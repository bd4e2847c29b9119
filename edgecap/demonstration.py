"""The whole road in one call: export to every target, prove, caption, measure, draw."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.box import find_run, sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.files import make_folder
from edgecap.pictures import write_contact_sheet
from edgecap_runtime import Caption, Captioner

TARGETS = (
    ("tflite", "float32"),
    ("tflite", "dynamic-int8"),
    ("onnx", "float32"),
    ("onnx", "dynamic-int8"),
)
"""Format and recipe of each file that is made."""

_ROUNDS = 5
"""Times each photograph is captioned by each target, in turn; the medians are shown."""


@dataclass(frozen=True)
class TargetRow:
    """One line of the demo's table."""

    target: str
    """Format and recipe."""

    megabytes: float
    """Size of the file."""

    encoder_ms: float
    """Median time to encode one photograph."""

    word_ms: float
    """Median time of one decoder step, greedy, with the search around it."""

    equal: int
    """Sample photographs whose caption, greedy and by beam, is word for word Keras' own."""

    report: dict[str, Any]
    """The export's whole parity report."""


@dataclass(frozen=True)
class Demonstration:
    """What the demo shows."""

    photos: int
    """Sample photographs captioned."""

    targets: tuple[TargetRow, ...]
    """The table."""

    picture: Path
    """The contact sheet."""

    captions: dict[str, dict[str, str]]
    """Photograph to target to caption, by beam."""

    def columns(self) -> list[str]:
        """The head of the table."""
        return ["target", "MB", "encoder ms", "ms a word", "captions as Keras"]

    def rows(self) -> list[list[str]]:
        """The table as text."""
        return [
            [
                row.target,
                f"{row.megabytes:.1f}",
                f"{row.encoder_ms:.1f}",
                f"{row.word_ms:.2f}",
                f"{row.equal} of {self.photos}",
            ]
            for row in self.targets
        ]

    def verdict(self) -> str:
        """What the parity reports conclude."""
        return f"checked on {self.photos} photographs (`edgecap export --data` proves it on 100)"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "photos": self.photos,
            "targets": [dataclasses.asdict(row) for row in self.targets],
            "picture": str(self.picture),
            "captions": self.captions,
        }


def demonstrate(
    run: str | Path,
    out: Path,
    *,
    threads: int | None = None,
    photos: Sequence[Path] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Demonstration:
    """Export `run` to every target and caption photographs with each.

    Args:
        run: a run or a name from the box.
        out: folder for the files and the picture.
        threads: of the interpreters.
        photos: photographs to caption; the samples in the box by default.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: an export is below its gate, or something can't be written.
    """
    say = progress or (lambda stage, done, total: None)
    make_folder(out)
    paths = tuple(photos or sample_photos())
    files, reports = _export(run, out, paths, say)
    said, timed = _caption(files, paths, threads, say)
    rows = tuple(
        TargetRow(
            target=target,
            megabytes=path.stat().st_size / 1e6,
            encoder_ms=statistics.median(c.timings.encode for c in timed[target]),
            word_ms=statistics.median(c.timings.per_step for c in timed[target]),
            equal=_equal(reports[target], len(paths)),
            report=reports[target],
        )
        for target, path in files.items()
    )
    picture = out / "captions.png"
    lines = [
        _lines({target: said[target][place] for target in files}) for place in range(len(paths))
    ]
    write_contact_sheet(paths, lines, "What the captioner says, by beam search", picture)
    captions = {
        path.name: {target: said[target][place] for target in files}
        for place, path in enumerate(paths)
    }
    return Demonstration(len(paths), rows, picture, captions)


def _export(
    run: str | Path, out: Path, photos: Sequence[Path], say: Callable[[str, int, int], None]
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Write every target; what Keras says is computed once for all of them."""
    import edgecap_export

    say("exporting and proving", 0, len(TARGETS))
    source = TrainedCaptioner.load(find_run(run)).source()
    prover = edgecap_export.Prover(source, photos)
    files: dict[str, Path] = {}
    reports: dict[str, dict[str, Any]] = {}
    for place, (suffix, recipe) in enumerate(TARGETS):
        target = f"{suffix} {recipe}"
        files[target] = out / f"captioner-{recipe}.{suffix}"
        made = edgecap_export.export(source, files[target], recipe=recipe, prover=prover)
        reports[target] = made.to_dict()
        say("exporting and proving", place + 1, len(TARGETS))
    return files, reports


def _caption(
    files: dict[str, Path],
    photos: Sequence[Path],
    threads: int | None,
    say: Callable[[str, int, int], None],
) -> tuple[dict[str, list[str]], dict[str, list[Caption]]]:
    """Caption by beam for the words, and greedily in rounds over the targets for the times."""
    said: dict[str, list[str]] = {}
    timed: dict[str, list[Caption]] = {target: [] for target in files}
    total = len(files) * (_ROUNDS + 1)
    opened = {target: Captioner.load(path, threads=threads) for target, path in files.items()}
    try:
        for place, (target, captioner) in enumerate(opened.items()):
            say("captioning", place, total)
            said[target] = [captioner.caption(photo).text for photo in photos]
        for turn in range(_ROUNDS):
            for place, (target, captioner) in enumerate(opened.items()):
                say("captioning", len(files) * (turn + 1) + place, total)
                captioner.caption(photos[0], beam=1)  # warm: another interpreter was at work
                timed[target] += [captioner.caption(photo, beam=1) for photo in photos]
        say("captioning", total, total)
    finally:
        for captioner in opened.values():
            captioner.close()
    return said, timed


def _lines(by_target: dict[str, str]) -> list[str]:
    """One line where all targets agree; else one for each different caption, with its targets."""
    targets: dict[str, list[str]] = {}
    for target, text in by_target.items():
        targets.setdefault(text, []).append(target)
    if len(targets) == 1:
        return list(targets)
    return [f"{text} [{', '.join(names)}]" for text, names in targets.items()]


def _equal(report: dict[str, Any], photos: int) -> int:
    return photos - len({difference["image"] for difference in report["parity"]["differences"]})
