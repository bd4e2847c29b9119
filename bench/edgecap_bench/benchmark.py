"""One benchmark from its options to its report."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.files import make_folder
from edgecap_bench.exporting import export_all
from edgecap_bench.imports import import_cost
from edgecap_bench.machine import describe_machine, disturbance, load_now
from edgecap_bench.measure import Bench, Progress
from edgecap_bench.process import WorkerError, thread_settings
from edgecap_bench.report import SCHEMA, build_rows
from edgecap_bench.targets.registry import Plan
from edgecap_runtime.options import search_name

if TYPE_CHECKING:
    from edgecap.data import Photo
    from edgecap.exporting import CalibrationPhotos

__all__ = ["Benchmark", "Stages"]

Stages = Callable[[str], AbstractContextManager[Progress]]
"""Makes the progress report of a stage of this name."""


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured, and how."""

    captioner: str
    """What the report is called after."""
    plans: tuple[Plan, ...]
    """The targets, the table's rows."""
    run: Path | None
    """The captioner in Keras form, for plans that are exported first."""
    photos: tuple[Path, ...]
    """The photographs that are timed."""
    images: tuple[Photo, ...]
    """The photographs with references that are scored; none if empty."""
    threads: int
    """Threads of every library."""
    beams: tuple[int, ...]
    """Widths of beams, 1 (greedy) first."""
    rounds: int
    """How often each target takes its turn."""
    import_repeats: int
    """How many pairs of fresh processes tell the runtime's import."""
    seed: int
    """Seed of the order of turns and of the intervals."""
    out: Path
    """Folder of the report, which exists."""
    calibration: CalibrationPhotos | None = None
    """The photographs that recipes are calibrated on; None where no plan has such a recipe."""

    def measure(self, stages: Stages) -> dict[str, Any]:
        """Do it and give the report; an interrupt ends it early and is noted in the report."""
        logs = make_folder(self.out / "logs")
        started, before = datetime.now(UTC), load_now()
        bench = Bench(self.plans, self.photos, beams=self.beams, threads=self.threads, logs=logs)
        costs: dict[str, Any] = {}
        interrupted = False
        try:
            with bench:
                self._run(bench, stages, logs)
            costs = self._import_costs(bench, stages)
        except KeyboardInterrupt:
            interrupted = True
        return {
            "schema": SCHEMA,
            "captioner": self.captioner,
            "started": started.isoformat(timespec="seconds"),
            "seconds": (datetime.now(UTC) - started).total_seconds(),
            "command": shlex.join(sys.argv),
            "interrupted": interrupted,
            "settings": {
                "threads": self.threads,
                "environment": thread_settings(self.threads),
                "searches": [search_name(beam) for beam in self.beams],
                "rounds": self.rounds,
                "seed": self.seed,
                "photos": [path.name for path in self.photos],
                "quality_images": len(self.images),
                "calibration": None
                if self.calibration is None
                else {
                    "photographs": self.calibration.said,
                    "images_at_most": self.calibration.count,
                    "seed": self.calibration.seed,
                },
            },
            "machine": describe_machine(),
            "disturbance": disturbance(before, load_now()),
            "import_cost": costs,
            "rows": build_rows(bench.rows, self._scores(bench), self.seed),
        }

    def _run(self, bench: Bench, stages: Stages, logs: Path) -> None:
        to_export = [row for row in bench.rows if row.plan.recipe is not None]
        if to_export and self.run is not None:
            with stages("exporting") as progress:
                export_all(
                    to_export,
                    bench.rows,
                    self.run,
                    self.photos,
                    () if self.calibration is None else self.calibration.paths,
                    logs,
                    progress,
                )
        with stages("starting") as progress:
            bench.start(progress)
        with stages("measuring") as progress:
            bench.measure(self.rounds, self.seed, progress)
        bench.weigh()
        if self.images:
            with stages("captioning for the scores") as progress:
                bench.caption_all([image.path for image in self.images], progress)

    def _import_costs(self, bench: Bench, stages: Stages) -> dict[str, Any]:
        from edgecap_runtime.containers import container_of
        from edgecap_runtime.errors import EdgecapError

        kinds: list[str] = []
        for row in bench.rows:
            if row.plan.has_floor and row.timed:
                try:
                    kinds.append(container_of(row.plan.files[0]))
                except EdgecapError:
                    continue
        costs: dict[str, Any] = {}
        environment = {**os.environ, **thread_settings(self.threads)}
        for kind in sorted(set(kinds)) if self.import_repeats else ():
            with stages(f"importing ({kind})") as progress:
                try:
                    costs[kind] = import_cost(kind, self.import_repeats, environment, progress)
                except WorkerError as problem:
                    costs[kind] = {"error": str(problem)}
        return costs

    def _scores(self, bench: Bench) -> dict[str, dict[int, dict[str, Any]]]:
        if not any(row.captions for row in bench.rows):
            return {}
        from edgecap.evaluation import score_captions

        references = [image.captions for image in self.images]
        return {
            row.plan.label: {
                beam: score_captions(words, references) for beam, words in row.captions.items()
            }
            for row in bench.rows
            if row.captions
        }
