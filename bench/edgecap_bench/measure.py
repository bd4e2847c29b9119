"""Starts the targets, lets them take turns, and keeps what they measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from edgecap_bench.energy import joules, joules_between
from edgecap_bench.process import WorkerError, WorkerProcess, thread_settings
from edgecap_bench.rounds import turns
from edgecap_bench.sample import Sample
from edgecap_bench.statistics import NOISY, median_interval, percentile
from edgecap_bench.targets.registry import Plan

__all__ = ["Bench", "Row", "Timed", "caption_rounds", "silent", "within"]

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
    searched: str | None = None
    """Where greedy search runs: "inside" the file, all words in one call, or "outside"."""
    peak_mb: float | None = None
    """Largest resident memory after the rounds, MB."""
    check: dict[str, Any] | None = None
    """What the file's check of itself says: `passed` (None for a file that carries nothing),
    `largest` and `tolerance`; None for a target that is no file."""
    timed: list[Timed] = field(default_factory=list)
    """The samples of the rounds."""
    said: dict[tuple[int, int], Sample] = field(default_factory=dict)
    """What it said in the warm-up, by photograph and beam."""
    cold_ms: list[float] = field(default_factory=list)
    """From the start of a process to the first caption, milliseconds, in fresh processes."""
    saturated: dict[str, Any] | None = None
    """`captions`, `seconds` and `how`, captioning many as fast as it can; None where it can't."""
    joules: float | None = None
    """Energy of the processor during the rounds; None where the machine doesn't tell."""
    captions: dict[int, list[list[str]]] = field(default_factory=dict)
    """Words for the quality images, by beam."""
    error: str | None = None
    """Why it stopped, if it did; what was measured before stays."""

    @property
    def log_name(self) -> str:
        """What its log is called: its label as far as a file's name can hold it."""
        label = self.plan.label.replace(":", "-").replace(" ", "-").replace("/", "-")
        return label if self.plan.threads is None else f"{label}-{self.plan.threads}"


class Bench:
    """The targets' processes; a context manager that ends them."""

    def __init__(
        self,
        rows: Sequence[Row],
        photos: Sequence[Path],
        *,
        beams: Sequence[int],
        threads: int,
        logs: Path,
        timeout_s: float = 600.0,
    ) -> None:
        """Take the rows.

        photos: what is timed; beams: widths, 1 first; threads: for every library; logs: a folder
        for what the targets print; timeout_s: longest wait for one answer.
        """
        self.rows = list(rows)
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

    def measure(self, rounds: int, seed: int, progress: Progress, *, most: int = 0) -> None:
        """Run the rounds; those of noisy rows go on until they are not, but to `most` at most."""
        rows = {row.plan.label: row for row in self.rows if row.error is None}
        total = rounds * len(rows)
        for done, (place, label) in enumerate(turns(list(rows), rounds, seed)):
            progress(done, total)
            self._take_turn(rows[label], place)
        for place in range(rounds, most):
            wanted = [label for label, row in rows.items() if row.error is None and _noisy(row)]
            if not wanted:
                break
            for _, label in turns(wanted, 1, seed + place):
                self._take_turn(rows[label], place)
        progress(total, total)

    def _take_turn(self, row: Row, place: int) -> None:
        # What is known from a run that was interrupted is not measured again.
        if row.error is None and all(item.round != place for item in row.timed):
            self._guarded(row, self._turn, place)

    def start_cold(self, repeats: int, seed: int, progress: Progress) -> None:
        """Time processes from their start to their first caption, targets in turn."""
        rows = {row.plan.label: row for row in self.rows if row.error is None}
        for done, (place, label) in enumerate(turns(list(rows), repeats, seed)):
            progress(done, repeats * len(rows))
            if rows[label].error is None and len(rows[label].cold_ms) <= place:
                self._guarded(rows[label], self._start_cold)
        progress(repeats * len(rows), repeats * len(rows))

    def saturate(self, count: int, progress: Progress) -> None:
        """Let each target caption many photographs as fast as it can, one target at a time."""
        rows = [row for row in self.rows if row.error is None and row.saturated is None]
        for done, row in enumerate(rows):
            progress(done, len(rows))
            self._guarded(row, self._saturate, count)
        progress(len(rows), len(rows))

    def weigh(self) -> None:
        """Ask the targets for their peak memory and check; to be done before `caption_all`."""
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

            if row.error is None and beam not in row.captions:
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
        worker = self._open(row)
        self._workers[row.plan.label] = worker
        answer = worker.ask("start", **row.plan.start)
        row.import_ms, row.load_ms = answer["import_ms"], answer["load_ms"]
        row.kind, row.searched = answer["kind"], answer.get("searched")
        for photo, beam in self._work(row):
            row.said[photo, beam] = self._caption(row, photo, beam)

    def _open(self, row: Row, suffix: str = "") -> WorkerProcess:
        settings = {**self._settings, **row.plan.environment}
        log = self._logs / f"{row.log_name}{suffix}.log"
        return WorkerProcess(row.plan.command, settings, log, self._timeout_s)

    def _turn(self, row: Row, place: int) -> None:
        work = self._work(row)
        # The caches hold the target before, so the first caption of a turn isn't timed.
        self._caption(row, *work[0])
        before = joules()
        made = [Timed(place, photo, beam, self._caption(row, photo, beam)) for photo, beam in work]
        after = joules()
        row.timed += made
        if before is not None and after is not None:
            row.joules = (row.joules or 0) + joules_between(before, after)

    def _start_cold(self, row: Row) -> None:
        begun = perf_counter()
        worker = self._open(row, "-cold")
        try:
            worker.ask("start", **row.plan.start)
            request: dict[str, Any] = {"photo": self._photos[0], "beam": 1}
            if row.plan.floor_of is not None:
                request["ids"] = []  # one photograph decoded, the file invoked once
            worker.ask("caption", **request)
            row.cold_ms.append((perf_counter() - begun) * 1e3)
        finally:
            worker.close()

    def _saturate(self, row: Row, count: int) -> None:
        photos = [self._photos[place % len(self._photos)] for place in range(count)]
        answer = self._workers[row.plan.label].ask("saturate", photos=photos)
        row.saturated = None if answer["seconds"] is None else {"captions": count, **answer}

    def _weigh(self, row: Row) -> None:
        answer = self._workers[row.plan.label].ask("memory")
        row.peak_mb, row.check = answer["peak_mb"], answer.get("check")

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


def caption_rounds(row: Row, beam: int) -> list[list[float]]:
    """Give the times of a row's whole captions by one search, milliseconds, round by round."""
    rounds: dict[int, list[float]] = {}
    for item in row.timed:
        if item.beam == beam:
            rounds.setdefault(item.round, []).append(item.sample.caption_ms)
    return list(rounds.values())


def _noisy(row: Row) -> bool:
    """Say whether the median greedy caption is not known well."""
    rounds = caption_rounds(row, 1)
    if not rounds:
        return False
    low, high = median_interval(rounds, 0)
    return high - low > NOISY * percentile([ms for each in rounds for ms in each], 50)


def _sample(answer: Mapping[str, Any]) -> Sample:
    try:
        return Sample(**answer)
    except TypeError as problem:
        raise WorkerError(f"an answer of another form: {problem}") from None
