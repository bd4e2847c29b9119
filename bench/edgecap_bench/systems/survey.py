"""Takes every system all the way: trained, exported, compared with Keras, timed on its files."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgecap.box import captioners, sample_photos
from edgecap_bench.exporting import EXPORT_ENVIRONMENT
from edgecap_bench.measure import Bench, Row, silent, within
from edgecap_bench.process import WorkerError, WorkerProcess
from edgecap_bench.report import build_rows
from edgecap_bench.systems.combinations import System, find_weights
from edgecap_bench.systems.photographs import write_dataset
from edgecap_bench.targets.runtime_file import plan_file

__all__ = ["FORMATS", "RECIPES", "Made", "Outcome", "Survey"]

FORMATS = (".tflite", ".onnx")
RECIPES = ("float32", "dynamic-int8")

_COMMAND = (sys.executable, "-P", "-m", "edgecap_bench.systems.worker")
_TIMEOUT_S = 3600.0
_STAGES = 2 + len(FORMATS) * len(RECIPES)
"""Training, each export, timing."""
_LEAST_DISTINCT = 10
"""Different captions that the photographs must have: fewer, and the image counts for little."""
_LEAST_SAME = {"float32": 1.0, "dynamic-int8": 0.9}
"""Share of captions that must be Keras' own; other than the gates it forgives nothing for want of
photographs."""
_TIMED_PHOTOS = 5
_ROUNDS = 5
# The captioner in the box lends its words, so that files and words cost what a real one's do.
_LENDER = "mobilenet-lstm"


@dataclass(frozen=True)
class Made:
    """One exported file."""

    bytes: int
    """Its size."""
    images: int
    """Photographs that Keras and the file captioned."""
    distinct: int
    """Different captions that Keras said."""
    greedy: int
    """Photographs of which the file says Keras' words by greedy search, ..."""
    beam: int
    """... and by beam search."""
    largest: float
    """Largest difference of a log probability, nats; ..."""
    p99: float
    """... and the 99th percentile of these differences."""
    failures: Sequence[str] = ()
    """What stayed below the recipe's gate, a clause each."""
    kind: str | None = None
    """How it says a word: by a "step", or from the whole "prefix"."""
    encode_ms: float | None = None
    """Median time from pixels to the first state, milliseconds."""
    word_ms: float | None = None
    """Median time of a word, greedy, milliseconds."""


@dataclass
class Outcome:
    """What became of a system in one format."""

    system: System
    """Encoder, size and decoder."""
    format: str
    """The file's ending."""
    weights: str | None
    """Name of the encoder's weights file; None for random weights."""
    epochs: int | None = None
    """Epochs until it had learned every caption."""
    words: int | None = None
    """Words of its vocabulary."""
    made: dict[str, Made] = field(default_factory=dict)
    """The files, by recipe."""
    problems: list[str] = field(default_factory=list)
    """Why the road is not open; empty if it is."""


@dataclass(frozen=True)
class Survey:
    """Which systems are taken, and how."""

    systems: Sequence[System]
    """Encoders with decoders."""
    weights_folder: Path | None
    """Folder of encoder weights; an encoder without a file there gets random ones."""
    quick: bool
    """Whether decoders are small, words few, and times taken once."""
    threads: int
    """The interpreters' threads."""

    @property
    def stages(self) -> int:
        """What progress is counted in."""
        return len(self.systems) * _STAGES

    def run(
        self,
        progress: Callable[[int, int], None],
        tell: Callable[[Outcome], None],
        *,
        known: Sequence[Outcome] = (),
        keep: Callable[[Sequence[Outcome]], None] | None = None,
    ) -> list[Outcome]:
        """Take one system after the other; a failure is its outcome's problem.

        Args:
            progress: called with (stages done, stages in all).
            tell: called with each outcome when it is known.
            known: outcomes of systems that need not be taken again.
            keep: called after each system with all outcomes so far, the known ones of systems
                still to come among them.
        """
        outcomes: list[Outcome] = []
        with tempfile.TemporaryDirectory(prefix="edgecap-systems-") as folder:
            data = write_dataset(Path(folder) / "data")
            for place, system in enumerate(self.systems):
                before = place * _STAGES
                if found := [outcome for outcome in known if outcome.system == system]:
                    outcomes += found
                    continue
                # Ended with its system: an exported InceptionV3 alone is 90 MB.
                with tempfile.TemporaryDirectory(dir=folder) as home:
                    report = functools.partial(within, progress, before, self.stages)
                    for outcome in self._take(system, data, Path(home), report):
                        outcomes.append(outcome)
                        tell(outcome)
                if keep is None:
                    continue
                taken = {outcome.system for outcome in outcomes}
                keep([*outcomes, *(later for later in known if later.system not in taken)])
            progress(self.stages, self.stages)
        return outcomes

    def _take(
        self, system: System, data: Path, home: Path, progress: Callable[[int], None]
    ) -> list[Outcome]:
        weights = find_weights(system.encoder, self.weights_folder)
        name = None if weights is None else weights.name
        outcomes = [Outcome(system, suffix, name) for suffix in FORMATS]
        progress(0)
        try:
            worker = WorkerProcess(_COMMAND, EXPORT_ENVIRONMENT, home / "worker.log", _TIMEOUT_S)
            try:
                trained = self._train(worker, system, weights, data, home)
                for outcome in outcomes:
                    outcome.epochs, outcome.words = trained["epochs"], trained["words"]
                self._export(worker, outcomes, home, progress)
            finally:
                worker.close()
        except WorkerError as problem:
            for outcome in outcomes:
                outcome.problems.append(f"the training failed: {problem}")
        self._time(outcomes, home)
        return outcomes

    def _train(
        self, worker: WorkerProcess, system: System, weights: Path | None, data: Path, home: Path
    ) -> dict[str, Any]:
        from edgecap_bench.systems.teaching import small_settings

        return worker.ask(
            "train",
            encoder=system.encoder,
            decoder=system.decoder,
            size=system.size,
            settings=small_settings(system.decoder) if self.quick else [],
            weights=None if weights is None else str(weights),
            vocabulary_of=None if self.quick else str(captioners()[_LENDER]),
            data=str(data),
            folder=str(home),
        )

    def _export(
        self,
        worker: WorkerProcess,
        outcomes: Sequence[Outcome],
        home: Path,
        progress: Callable[[int], None],
    ) -> None:
        """Write every file; one that can't be written is a problem of its own."""
        files = [(outcome, recipe) for outcome in outcomes for recipe in RECIPES]
        for done, (outcome, recipe) in enumerate(files):
            progress(1 + done)
            path = _file(home, outcome.format, recipe)
            try:
                made = Made(**worker.ask("export", path=str(path), recipe=recipe))
            except WorkerError as problem:
                outcome.problems.append(f"{recipe}: the export failed: {problem}")
                continue
            outcome.made[recipe] = made
            outcome.problems += _shortcomings(recipe, made)
        progress(1 + len(files))

    def _time(self, outcomes: Sequence[Outcome], home: Path) -> None:
        """Time the files by the runtime, without TensorFlow beside them."""
        made = [(outcome, recipe) for outcome in outcomes for recipe in outcome.made]
        plans = [
            plan_file(
                f"{outcome.format} {recipe}", _file(home, outcome.format, recipe), self.threads
            )
            for outcome, recipe in made
        ]
        photos = sample_photos()[:_TIMED_PHOTOS]
        started = [Row(plan) for plan in plans]
        with Bench(started, photos, beams=[1], threads=self.threads, logs=home) as bench:
            bench.start(silent)
            bench.measure(1 if self.quick else _ROUNDS, 0, silent)
        rows = build_rows(bench.rows, {}, 0)
        for (outcome, recipe), row in zip(made, rows, strict=True):
            if row["error"]:
                outcome.problems.append(f"{recipe}: the runtime failed: {row['error']}")
                continue
            outcome.made[recipe] = replace(
                outcome.made[recipe],
                kind=row["kind"],
                encode_ms=row["encode_ms"]["p50"],
                word_ms=row["per_word_ms"]["p50"],
            )


def _file(home: Path, suffix: str, recipe: str) -> Path:
    return home / f"{recipe}{suffix}"


def _shortcomings(recipe: str, made: Made) -> list[str]:
    """Say where a file falls short of what this table asks: see the page's introduction."""
    found = list(made.failures) if recipe == "float32" else []
    if made.distinct < _LEAST_DISTINCT:
        found.append(f"{made.images} photographs have only {made.distinct} different captions")
    if min(made.greedy, made.beam) < _LEAST_SAME[recipe] * made.images:
        found.append(
            f"of {made.images} captions {made.greedy} (greedy) and {made.beam} (beam) are Keras' "
            "own"
        )
    return [f"{recipe}: {reason}" for reason in found]
