"""Exports captioners by every recipe, proves each file and times them side by side."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.box import sample_photos
from edgecap.files import make_folder
from edgecap_bench.exporting import EXPORT_ENVIRONMENT
from edgecap_bench.measure import Bench, Row, silent, within
from edgecap_bench.process import WorkerError, WorkerProcess
from edgecap_bench.report import build_rows
from edgecap_bench.targets.runtime_file import plan_file
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import EdgecapError

__all__ = ["FLOAT", "FORMATS", "RecipeSurvey"]

FORMATS = (".tflite", ".onnx")
FLOAT = "float32"
"""What every other recipe is compared with."""

_COMMAND = (sys.executable, "-P", "-m", "edgecap_bench.recipes.worker")
_TIMEOUT_S = 7200.0
_TIMED_PHOTOS = 5
_ROUNDS = 8


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
    """A JSON file that keeps what was measured; what is in it is not measured again."""
    files: Path | None = None
    """A folder that keeps the exported files; None for one that is gone at the end."""
    timed: bool = True
    """Whether the files are timed; if not, another call with the same record and folder can."""

    @property
    def stages(self) -> int:
        """What progress is counted in."""
        return len(self.runs) * (len(FORMATS) * len(self.recipes) + len(self.threads) + 1)

    def run(self, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """Give a row for each captioner, format and recipe: see `worker` and `_time`."""
        rows = _read(self.record)
        with contextlib.ExitStack() as closing:
            files = self.files
            if files is None:
                made = tempfile.TemporaryDirectory(prefix="edgecap-recipes-")
                files = Path(closing.enter_context(made))
            for place, run in enumerate(self.runs):
                before = place * (self.stages // len(self.runs))
                report = functools.partial(within, progress, before, self.stages)
                self._take(run, make_folder(files / run.name), rows, report)
        progress(self.stages, self.stages)
        names = [run.name for run in self.runs]
        places = [
            (name, suffix, recipe)
            for name in names
            for suffix in FORMATS
            for recipe in self.recipes
        ]
        found = {(row["captioner"], row["format"], row["recipe"]): row for row in rows}
        return [found[place] for place in places]

    def _take(
        self,
        run: Path,
        home: Path,
        rows: list[dict[str, Any]],
        progress: Callable[[int], None],
    ) -> None:
        """Measure what is not in the rows yet, and add it there."""
        pairs = [(suffix, recipe) for suffix in FORMATS for recipe in self.recipes]
        known = {
            (row["format"], row["recipe"]): row for row in rows if row["captioner"] == run.name
        }
        # A file that is to be timed and is gone has to be made again.
        missing = [
            pair
            for pair in pairs
            if pair not in known or (self._untimed(known[pair]) and not _file(home, *pair).exists())
        ]
        progress(0)
        if missing:
            worker = WorkerProcess(_COMMAND, EXPORT_ENVIRONMENT, home / "worker.log", _TIMEOUT_S)
            try:
                about = self._start(worker, run)
                for done, (suffix, recipe) in enumerate(missing, start=1):
                    progress(done)
                    row = {"captioner": run.name, **about, "format": suffix, "recipe": recipe}
                    try:
                        path = _file(home, suffix, recipe)
                        row |= worker.ask("export", path=str(path), recipe=recipe)
                    except WorkerError as problem:
                        row["failed"] = str(problem)
                    if (suffix, recipe) in known:
                        rows.remove(known[suffix, recipe])
                    known[suffix, recipe] = row
                    rows.append(row)
                    _write(self.record, rows)
            finally:
                worker.close()
        untimed = [known[pair] for pair in pairs if self._untimed(known[pair])]
        if untimed:
            progress(len(pairs) + 1)
            # All together, so that they can be compared.
            self._time([known[pair] for pair in pairs if "bytes" in known[pair]], home)
            _write(self.record, rows)

    def _start(self, worker: WorkerProcess, run: Path) -> dict[str, Any]:
        try:
            return worker.ask(
                "start",
                run=str(run),
                data=str(self.data),
                split=self.split,
                images=self.images,
                calibrated_on=self.calibrated_on,
            )
        except WorkerError as problem:  # the first to be asked, so what was given is at fault
            raise EdgecapError(str(problem)) from None

    def _untimed(self, row: Mapping[str, Any]) -> bool:
        return (
            self.timed
            and "bytes" in row
            and any(str(count) not in row.get("ms", {}) for count in self.threads)
        )

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
            with Bench(
                [Row(plan) for plan in plans], photos, beams=[1], threads=threads, logs=home
            ) as bench:
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
