"""One benchmark from its options to its report."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.files import make_folder
from edgecap.timing import OtherWork
from edgecap_bench.exporting import export_all
from edgecap_bench.imports import import_cost
from edgecap_bench.machine import describe_machine, disturbance, load_now
from edgecap_bench.measure import Bench, Progress, Row
from edgecap_bench.process import WorkerError, thread_settings
from edgecap_bench.quality import score_rows
from edgecap_bench.record import Record
from edgecap_bench.report import HERE, SCHEMA, build_rows
from edgecap_bench.targets.registry import Plan
from edgecap_runtime.options import search_name

if TYPE_CHECKING:
    from edgecap.data import Photo
    from edgecap.exporting import CalibrationPhotos

__all__ = ["Benchmark", "Effort", "Stages"]

Stages = Callable[[str], AbstractContextManager[Progress]]
"""Makes the progress report of a stage of this name."""

_RECORD = "measured.json"
_KEPT_EVERY_S = 20.0


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    rounds: int = 10
    """How often each target takes its turn."""
    most_rounds: int = 20
    """How often those take it at most whose median is not known to 5 % before."""
    cold_starts: int = 5
    """Fresh processes of each target; 0 for none."""
    saturating: int = 40
    """Photographs that each captions as fast as it can; 0 for none."""
    import_repeats: int = 7
    """Pairs of fresh processes that tell the runtime's import; 0 for none."""


QUICK = Effort(rounds=3, most_rounds=3, cold_starts=2, saturating=10, import_repeats=0)
"""About a minute for three targets of MobileNet."""


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured, and how."""

    captioner: str
    """What the report is called after."""
    passes: tuple[tuple[Plan, ...], ...]
    """The targets, the table's rows, by number of threads: those of a pass take turns."""
    run: Path | None
    """The captioner in Keras form, for plans that are exported first."""
    photos: tuple[Path, ...]
    """The photographs that are timed."""
    images: tuple[Photo, ...]
    """The photographs with references that are scored; none if empty."""
    split: str | None
    """The split that they are of."""
    threads: tuple[int, ...]
    """Threads of every library, one number for each pass."""
    beams: tuple[int, ...]
    """Widths of beams, 1 (greedy) first."""
    effort: Effort
    """How long is measured."""
    seed: int
    """Seed of the order of turns and of the intervals."""
    out: Path
    """Folder of the report, which exists."""
    calibration: CalibrationPhotos | None = None
    """The photographs that recipes are calibrated on; None where no plan has such a recipe."""
    resume: bool = False
    """Whether what an interrupted run left in `out` is taken over."""

    def measure(self, stages: Stages) -> dict[str, Any]:
        """Do it and give the report; an interrupt ends it early and is noted in the report."""
        logs = make_folder(self.out / "logs")
        started, before = datetime.now(UTC), load_now()
        rows = [[Row(plan) for plan in plans] for plans in self.passes]
        everything = [row for each in rows for row in each]
        record = Record(self.out / _RECORD, self._fingerprint())
        if self.resume:
            record.read_into(everything)
        others = OtherWork()
        costs: dict[str, Any] = {}
        interrupted = False
        try:
            self._export(everything, logs, stages)
            for place, each in enumerate(rows):
                self._pass(place, each, record, everything, logs, others, stages)
            costs = self._import_costs(everything, stages)
        except KeyboardInterrupt:
            interrupted = True
            record.write(everything)
        else:
            record.forget()
        quality = score_rows(everything, [image.captions for image in self.images])
        machine = describe_machine()
        return {
            "schema": SCHEMA,
            "captioner": self.captioner,
            "started": started.isoformat(timespec="seconds"),
            "seconds": (datetime.now(UTC) - started).total_seconds(),
            "command": shlex.join(sys.argv),
            "interrupted": interrupted,
            "settings": self._settings(),
            "machine": machine,
            "devices": {HERE: machine},
            "disturbance": disturbance(before, load_now(), others.share),
            "import_cost": costs,
            "rows": [row for each in rows for row in build_rows(each, quality, self.seed)],
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "threads": list(self.threads),
            "environment": thread_settings(self.threads[-1]),
            "searches": [search_name(beam) for beam in self.beams],
            "rounds": self.effort.rounds,
            "most_rounds": self.effort.most_rounds,
            "seed": self.seed,
            "photos": [path.name for path in self.photos],
            "split": self.split,
            "quality_images": len(self.images),
            "calibration": None
            if self.calibration is None
            else {
                "photographs": self.calibration.said,
                "images_at_most": self.calibration.count,
                "seed": self.calibration.seed,
            },
        }

    def _fingerprint(self) -> dict[str, Any]:
        """Give what must be the same where an interrupted run goes on."""
        return {
            "captioner": self.captioner,
            "targets": sorted({plan.label for plans in self.passes for plan in plans}),
            "threads": list(self.threads),
            "beams": list(self.beams),
            "photos": [path.name for path in self.photos],
            "images": [image.path.name for image in self.images],
            "rounds": self.effort.rounds,
            "seed": self.seed,
        }

    def _export(self, rows: Sequence[Row], logs: Path, stages: Stages) -> None:
        """Make the files, each once for all numbers of threads."""
        if self.run is None:
            return
        wanted: dict[Path, Row] = {}
        for row in rows:
            done = self.resume and row.load_ms is not None
            if row.plan.recipe is not None and not (done and row.plan.files[0].exists()):
                wanted.setdefault(row.plan.files[0], row)
        if not wanted:
            return
        with stages("exporting") as progress:
            export_all(
                list(wanted.values()),
                rows,
                self.run,
                self.photos,
                () if self.calibration is None else self.calibration.paths,
                logs,
                progress,
            )

    def _pass(
        self,
        place: int,
        rows: Sequence[Row],
        record: Record,
        everything: Sequence[Row],
        logs: Path,
        others: OtherWork,
        stages: Stages,
    ) -> None:
        """Measure the targets of one number of threads, and the last time what they say."""
        threads, effort = self.threads[place], self.effort
        named = f", {threads} thread{'s' * (threads > 1)}" if len(self.threads) > 1 else ""

        @contextmanager
        def kept(name: str) -> Iterator[Progress]:
            last = time.monotonic()

            def tell(done: int, total: int) -> None:
                nonlocal last
                if time.monotonic() - last > _KEPT_EVERY_S:
                    record.write(everything)
                    last = time.monotonic()
                progress(done, total)

            with stages(f"{name}{named}") as progress:
                yield tell
            record.write(everything)

        with Bench(rows, self.photos, beams=self.beams, threads=threads, logs=logs) as bench:
            with others.watched():
                if effort.cold_starts:
                    with kept("starting cold") as progress:
                        bench.start_cold(effort.cold_starts, self.seed, progress)
                with kept("starting") as progress:
                    bench.start(progress)
                with kept("measuring") as progress:
                    bench.measure(effort.rounds, self.seed, progress, most=effort.most_rounds)
                bench.weigh()
                if effort.saturating:
                    with kept("saturating") as progress:
                        bench.saturate(effort.saturating, progress)
            if self.images and place == len(self.passes) - 1:
                with kept("captioning for the scores") as progress:
                    bench.caption_all([image.path for image in self.images], progress)

    def _import_costs(self, rows: Sequence[Row], stages: Stages) -> dict[str, Any]:
        from edgecap_runtime.containers import container_of
        from edgecap_runtime.errors import EdgecapError

        repeats = self.effort.import_repeats
        kinds: list[str] = []
        for row in rows:
            if row.plan.has_floor and row.timed:
                try:
                    kinds.append(container_of(row.plan.files[0]))
                except EdgecapError:
                    continue
        costs: dict[str, Any] = {}
        environment = {**os.environ, **thread_settings(self.threads[-1])}
        for kind in sorted(set(kinds)) if repeats else ():
            with stages(f"importing ({kind})") as progress:
                try:
                    costs[kind] = import_cost(kind, repeats, environment, progress)
                except WorkerError as problem:
                    costs[kind] = {"error": str(problem)}
        return costs
