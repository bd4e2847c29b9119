"""Exports captioners by every recipe and runs each file on every processor."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.files import make_folder
from edgecap_bench.emulation.processors import NATIVE
from edgecap_bench.exporting import EXPORT_ENVIRONMENT
from edgecap_bench.process import WorkerError, WorkerProcess
from edgecap_bench.processors.judging import judge
from edgecap_bench.processors.keras_side import KerasSide
from edgecap_bench.processors.record import Record
from edgecap_bench.processors.saying import Place, RunError, Said, say
from edgecap_runtime.errors import EdgecapError

__all__ = ["FORMATS", "ProcessorSurvey"]

FORMATS = (".tflite", ".onnx")

_COMMAND = (sys.executable, "-P", "-m", "edgecap_bench.processors.worker")
_EXPORT_TIMEOUT_S = 7200.0


@dataclass(frozen=True)
class ProcessorSurvey:
    """What is run."""

    runs: Sequence[Path]
    """Folders of runs."""
    recipes: Sequence[str]
    """Names of recipes."""
    formats: Sequence[str]
    """Some of `FORMATS`."""
    places: Sequence[Place]
    """Where the files run besides the exporting machine; those that are missing here are left
    out."""
    photos: Sequence[Path]
    """Photographs to caption."""
    calibrate: Sequence[Path]
    """Photographs of which some calibrate recipes."""
    emulated_images: int
    """How many of the photographs are captioned where the processor is emulated."""
    threads: int
    """The interpreter's threads where the processor is not emulated; else 1."""
    jobs: int
    """How many emulated processors run at the same time."""
    timeout_s: float
    """Longest time of a row."""
    work: Path
    """Folder that keeps files and results."""

    def run(self, progress: Callable[[int, int], None]) -> Record:
        """Run all that is not in the folder yet.

        Raises `EdgecapError` where a captioner or its photographs can't be used, and `OptionError`
        where the folder holds other results.
        """
        about = {
            "photographs": [path.name for path in self.photos],
            "calibration photographs": [path.name for path in self.calibrate],
            "numbers of emulated images": self.emulated_images,
            "numbers of threads": self.threads,
        }
        record = Record(make_folder(self.work) / "record.json", about)
        for run in self.runs:
            self._export(run, record, progress)
        keys = [
            {"captioner": run.name, "recipe": recipe, "format": suffix}
            for run in self.runs
            for recipe in self.recipes
            for suffix in self.formats
        ]
        for index, key in enumerate(keys):
            progress(len(keys) + index, 2 * len(keys))
            if "bytes" in (record.file(**key) or {}):
                self._run_file(key, record)
        progress(2 * len(keys), 2 * len(keys))
        return record

    def _export(self, run: Path, record: Record, progress: Callable[[int, int], None]) -> None:
        """Export what is not in the folder yet."""
        home = make_folder(self.work / run.name)
        pairs = [(recipe, suffix) for recipe in self.recipes for suffix in self.formats]
        before, total = self.runs.index(run) * len(pairs), 2 * len(pairs) * len(self.runs)
        missing = []
        for recipe, suffix in pairs:
            known = record.file(captioner=run.name, recipe=recipe, format=suffix)
            if known is None or "failed" in known or not _there(known, home):
                missing.append((recipe, suffix))
        progress(before, total)
        if not missing and run.name in record.captioners:
            return
        worker = WorkerProcess(_COMMAND, EXPORT_ENVIRONMENT, home / "export.log", _EXPORT_TIMEOUT_S)
        try:
            record.keep_captioner(run.name, self._start(worker, run, home))
            for index, (recipe, suffix) in enumerate(missing):
                progress(before + len(pairs) - len(missing) + index, total)
                key = {"captioner": run.name, "recipe": recipe, "format": suffix}
                # What was made with another file says nothing of this one.
                for row in [row for row in record.rows if _of(row, key)]:
                    record.rows.remove(row)
                try:
                    path = home / f"{recipe}{suffix}"
                    found = worker.ask("export", path=str(path), recipe=recipe)
                except WorkerError as problem:
                    found = {"failed": f"the export failed: {problem}"}
                record.keep_file(key, found)
        finally:
            worker.close()

    def _start(self, worker: WorkerProcess, run: Path, home: Path) -> dict[str, Any]:
        try:
            return worker.ask(
                "start",
                run=str(run),
                photos=[str(path) for path in self.photos],
                calibrate=[str(path) for path in self.calibrate],
                folder=str(home.resolve()),
            )
        except WorkerError as problem:  # the first to be asked, so what was given is at fault
            raise EdgecapError(str(problem)) from None

    def _run_file(self, key: Mapping[str, str], record: Record) -> None:
        """Run a file on the exporting machine and on every processor that has no row yet."""
        places = [
            place
            for place in self.places
            if place != NATIVE
            and key["format"] in place.formats
            and place.missing() is None
            and record.row(**key, processor=place.name) is None
        ]
        if not places and record.row(**key, processor=NATIVE.name) is not None:
            return
        home = self.work / key["captioner"]
        file, keras = home / f"{key['recipe']}{key['format']}", KerasSide(home.resolve())
        gate = (record.file(**key) or {})["gate"]
        scratch = home / "said" / file.name
        ask = functools.partial(self._say, file=file, keras=keras, scratch=scratch)
        try:
            native = ask(NATIVE)
        except RunError as problem:
            record.keep_row({**key, "processor": NATIVE.name}, {"failed": str(problem)})
            return
        record.keep_row({**key, "processor": NATIVE.name}, judge(native, native, keras, gate))

        def run(place: Place) -> None:
            try:
                found = judge(ask(place), native, keras, gate)
            except RunError as problem:
                found = {"failed": str(problem)}
            record.keep_row({**key, "processor": place.name}, found)

        # What is timed has the machine for itself.
        for place in places:
            if _timed(place):
                run(place)
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(run, [place for place in places if not _timed(place)]))
        shutil.rmtree(scratch, ignore_errors=True)

    def _say(self, place: Place, *, file: Path, keras: KerasSide, scratch: Path) -> Said:
        images = len(self.photos)
        return say(
            place,
            file,
            keras,
            scratch / place.name,
            images=images if _timed(place) else min(images, self.emulated_images),
            threads=self.threads if _timed(place) else 1,
            timeout_s=self.timeout_s,
        )


def _timed(place: Place) -> bool:
    """Tell whether a processor is a real one, whose times mean something."""
    return place.how in ("native", "masked")


def _there(known: Mapping[str, Any], home: Path) -> bool:
    """Tell whether the file of an export is there, or there is none to have."""
    return "bytes" not in known or (home / f"{known['recipe']}{known['format']}").is_file()


def _of(row: Mapping[str, Any], key: Mapping[str, str]) -> bool:
    return all(row[name] == value for name, value in key.items())
