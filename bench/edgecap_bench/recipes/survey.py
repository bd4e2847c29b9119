"""Exports captioners by every recipe, proves each file and times them side by side."""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.box import sample_photos
from edgecap_bench.exporting import EXPORT_ENVIRONMENT
from edgecap_bench.measure import Bench, silent, within
from edgecap_bench.process import WorkerError, WorkerProcess
from edgecap_bench.report import build_rows
from edgecap_bench.targets.runtime_file import plan_file
from edgecap_runtime.atomic import replacing

__all__ = ["FLOAT", "FORMATS", "RecipeSurvey"]

FORMATS = (".tflite", ".onnx")
FLOAT = "float32"
"""What every other recipe is compared with."""

_COMMAND = (sys.executable, "-P", "-m", "edgecap_bench.recipes.worker")
_TIMEOUT_S = 7200.0
_TIMED_PHOTOS = 10
_ROUNDS = 10


@dataclass(frozen=True)
class RecipeSurvey:
    """What is measured."""

    runs: Sequence[Path]
    """Folders of runs."""
    recipes: Sequence[str]
    """Names of recipes, float32 first."""
    data: Path
    """The dataset."""
    split: str
    """The split that files are proven on."""
    images: int
    """Photographs of it."""
    calibrated_on: int
    """Photographs of the train split that recipes are calibrated on."""
    threads: Sequence[int]
    """Numbers of the interpreters' threads to time with."""
    record: Path | None = None
    """A JSON file that keeps what was measured, captioner by captioner; those in it are not
    measured again."""

    @property
    def stages(self) -> int:
        """What progress is counted in."""
        return len(self.runs) * (len(FORMATS) * len(self.recipes) + 2)

    def run(self, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """Give a row for each captioner, format and recipe: see `worker` and `_time`."""
        known = _read(self.record)
        rows: list[dict[str, Any]] = []
        for place, run in enumerate(self.runs):
            before = place * (self.stages // len(self.runs))
            name = run.name
            found = [row for row in known if row["captioner"] == name]
            if not found:
                with tempfile.TemporaryDirectory(prefix="edgecap-recipes-") as folder:
                    report = functools.partial(within, progress, before, self.stages)
                    found = self._take(run, Path(folder), report)
                known = [*known, *found]
                _write(self.record, known)
            rows += found
        progress(self.stages, self.stages)
        return rows

    def _take(self, run: Path, home: Path, progress: Callable[[int], None]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        progress(0)
        worker = WorkerProcess(_COMMAND, EXPORT_ENVIRONMENT, home / "worker.log", _TIMEOUT_S)
        try:
            about = worker.ask(
                "start",
                run=str(run),
                data=str(self.data),
                split=self.split,
                images=self.images,
                calibrated_on=self.calibrated_on,
            )
            for suffix in FORMATS:
                for recipe in self.recipes:
                    progress(1 + len(rows))
                    row = {"captioner": run.name, **about, "format": suffix, "recipe": recipe}
                    path = _file(home, suffix, recipe)
                    try:
                        row |= worker.ask("export", path=str(path), recipe=recipe)
                    except WorkerError as problem:
                        row["failed"] = str(problem)
                    rows.append(row)
        finally:
            worker.close()
        progress(1 + len(rows))
        self._time([row for row in rows if "bytes" in row], home)
        return rows

    def _time(self, rows: Sequence[dict[str, Any]], home: Path) -> None:
        """Add "ms": by number of threads the medians of encoder, a word, and both for ten words.

        The files of a captioner take turns in random order, each in a process of its own.
        """
        for threads in self.threads:
            plans = [
                plan_file(
                    f"{row['format']} {row['recipe']}",
                    _file(home, row["format"], row["recipe"]),
                    threads,
                )
                for row in rows
            ]
            photos = sample_photos()[:_TIMED_PHOTOS]
            with Bench(plans, photos, beams=[1], threads=threads, logs=home) as bench:
                bench.start(silent)
                bench.measure(_ROUNDS, 0, silent)
            timed = build_rows(bench.rows, {}, 0)
            for row, figures in zip(rows, timed, strict=True):
                if figures["error"]:
                    row["failed"] = figures["error"]
                    continue
                encode, word = figures["encode_ms"]["p50"], figures["per_word_ms"]["p50"]
                row.setdefault("ms", {})[str(threads)] = {
                    "encode": encode,
                    "word": word,
                    # The part that a recipe can change, for a caption of ten words.
                    "ten_words": encode + 10 * word,
                }


def _file(home: Path, suffix: str, recipe: str) -> Path:
    return home / f"{recipe}{suffix}"


def _read(record: Path | None) -> list[dict[str, Any]]:
    if record is None or not record.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(record.read_text("utf-8"))["rows"]
    return rows


def _write(record: Path | None, rows: Sequence[Mapping[str, Any]]) -> None:
    if record is not None:
        with replacing(record) as stream:
            stream.write(json.dumps({"rows": list(rows)}, indent=1).encode())
