"""Starts the targets, lets them take turns, and keeps what they measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edgecap_bench.process import WorkerError, WorkerProcess, thread_settings
from edgecap_bench.rounds import turns
from edgecap_bench.sample import Sample
from edgecap_bench.targets.registry import Plan

__all__ = ["Bench", "Row", "Timed", "silent", "within"]

Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody of progress."""


def within(progress: Progress, before: int, total: int, done: int) -> None:
    """Report the progress of one piece of work as that of all.

    before: stages of the pieces before it; total: stages of all.
    """
    progress(before + done, total)


@dataclass(frozen=True)
class Timed:
    """A sample, and where in the benchmark it was taken."""

    round: int
    """Number of the round, from 0."""
    photo: int
    """Place of the photograph, from 0."""
    beam: int
    """Width of the beam; 1 is greedy."""
    sample: Sample
    """What was measured."""


@dataclass
class Row:
    """What is known of one target so far."""

    plan: Plan
    """How it is run."""
    import_ms: float | None = None
    """Import of its libraries, milliseconds."""
    load_ms: float | None = None
    """Load of the model, milliseconds."""
    kind: str | None = None
    """How it says a word: by a "step", or from the whole "prefix"."""
    peak_mb: float | None = None
    """Largest resident memory after the rounds, MB."""
    timed: list[Timed] = field(default_factory=list)
    """The samples of the rounds."""
    said: dict[tuple[int, int], Sample] = field(default_factory=dict)
    """What it said in the warm-up, by photograph and beam."""
    captions: dict[int, list[list[str]]] = field(default_factory=dict)
    """Words for the quality images, by beam."""
    error: str | None = None
    """Why it stopped, if it did; what was measured before stays."""


class Bench:
    """The targets' processes; a context manager that ends them."""

    def __init__(
        self,
        plans: Sequence[Plan],
        photos: Sequence[Path],
        *,
        beams: Sequence[int],
        threads: int,
        logs: Path,
        timeout_s: float = 600.0,
    ) -> None:
        """Take the plans as rows.

        photos: what is timed; beams: widths, 1 first; threads: for every library; logs: a folder
        for what the targets print; timeout_s: longest wait for one answer.
        """
        self.rows = [Row(plan) for plan in plans]
        self._photos = [str(photo) for photo in photos]
        self._beams = list(beams)
        self._settings = thread_settings(threads)
        self._logs = logs
        self._timeout_s = timeout_s
        self._workers: dict[str, WorkerProcess] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            worker.close()

    def start(self, progress: Progress) -> None:
        """Start and warm up one target after the other: each captions all that it will time."""
        # Floors last, for they are fed the words of the others.
        order = sorted(self.rows, key=lambda row: row.plan.floor_of is not None)
        for done, row in enumerate(order):
            progress(done, len(order))
            if row.error is None:
                self._guarded(row, self._start)
        progress(len(order), len(order))

    def measure(self, rounds: int, seed: int, progress: Progress) -> None:
        """Run the rounds."""
        rows = {row.plan.label: row for row in self.rows if row.error is None}
        total = rounds * len(rows)
        for done, (place, label) in enumerate(turns(list(rows), rounds, seed)):
            progress(done, total)
            if rows[label].error is None:
                self._guarded(rows[label], self._turn, place)
        progress(total, total)

    def weigh(self) -> None:
        """Ask the targets for their peak memory; to be done before `caption_all`."""
        for row in self.rows:
            if row.error is None:
                self._guarded(row, self._weigh)

    def caption_all(self, images: Sequence[Path], progress: Progress) -> None:
        """Caption the quality images with each target whose captions are scored."""
        jobs = [
            (row, beam) for row in self.rows if row.plan.quality for beam in self._beams_of(row)
        ]
        for done, (row, beam) in enumerate(jobs):

            def report(image: int, before: int = done) -> None:
                progress(before * len(images) + image, len(jobs) * len(images))

            if row.error is None:
                self._guarded(row, self._caption_all, beam, images, report)

    def _guarded(self, row: Row, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(row, *arguments)
        except WorkerError as problem:
            row.error = str(problem)
            worker = self._workers.pop(row.plan.label, None)
            if worker is not None:
                worker.close()

    def _start(self, row: Row) -> None:
        plan = row.plan
        log = self._logs / f"{plan.label.replace(':', '-').replace(' ', '-')}.log"
        worker = WorkerProcess(plan.command, self._settings, log, self._timeout_s)
        self._workers[plan.label] = worker
        answer = worker.ask("start", **plan.start)
        row.import_ms, row.load_ms = answer["import_ms"], answer["load_ms"]
        row.kind = answer["kind"]
        for photo, beam in self._work(row):
            row.said[photo, beam] = self._caption(row, photo, beam)

    def _turn(self, row: Row, place: int) -> None:
        work = self._work(row)
        # The caches hold the target before, so the first caption of a turn isn't timed.
        self._caption(row, *work[0])
        for photo, beam in work:
            row.timed.append(Timed(place, photo, beam, self._caption(row, photo, beam)))

    def _weigh(self, row: Row) -> None:
        row.peak_mb = self._workers[row.plan.label].ask("memory")["peak_mb"]

    def _caption_all(
        self, row: Row, beam: int, images: Sequence[Path], report: Callable[[int], None]
    ) -> None:
        worker = self._workers[row.plan.label]
        captions: list[list[str]] = []
        for place, image in enumerate(images):
            report(place)
            captions.append(worker.ask("caption", photo=str(image), beam=beam)["words"])
        row.captions[beam] = captions

    def _work(self, row: Row) -> list[tuple[int, int]]:
        """Give photographs and beams, a photograph's searches next to each other."""
        count = len(self._photos[: row.plan.photos])
        return [(photo, beam) for photo in range(count) for beam in self._beams_of(row)]

    def _beams_of(self, row: Row) -> list[int]:
        return self._beams if row.plan.beams else [1]

    def _caption(self, row: Row, photo: int, beam: int) -> Sample:
        request: dict[str, Any] = {"photo": self._photos[photo], "beam": beam}
        if row.plan.floor_of is not None:
            request["ids"] = self._ids_for(row, photo)
        return _sample(self._workers[row.plan.label].ask("caption", **request))

    def _ids_for(self, row: Row, photo: int) -> list[int] | None:
        """Give what a floor is fed: nothing in its warm-up, where it shows its own words."""
        if (photo, 1) not in row.said:
            return None
        for other in self.rows:
            if other.plan.label == row.plan.floor_of and (photo, 1) in other.said:
                return list(other.said[photo, 1].ids)
        return list(row.said[photo, 1].ids)


def _sample(answer: Mapping[str, Any]) -> Sample:
    try:
        return Sample(**answer)
    except TypeError as problem:
        raise WorkerError(f"an answer of another form: {problem}") from None
