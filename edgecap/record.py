"""What is known of a captioner besides its weights: `record.json`, which `edgecap publish` writes.

It is read without Keras, and stays where the weights are not: a captioner that is not in the box is
known by its record, which holds the command that makes it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgecap.files import make_folder
from edgecap.lineage import commands_of, folded, trainings_of, unfolded
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import EdgecapError

RECORD = "record.json"
"""The file's name, beside `run.json`."""

_VERSION = 2
"""1 held the runs before each where it was come by, not once."""


@dataclass(frozen=True)
class TargetFigures:
    """An exported file of the captioner, measured."""

    format: str
    """"tflite" or "onnx"."""
    recipe: str
    """What became of the weights."""
    bytes: int
    """Size of the file."""
    verdict: str
    """What the comparison with Keras concludes: "proven", "checked on N" or "failed"."""
    same: Mapping[str, float]
    """By search the share of captions that are Keras' own, word for word, 0 to 1."""
    scores: Mapping[str, Mapping[str, Any]]
    """By search what `score_captions` gives, and "faults", what `judged_faults` gives."""
    difference: Mapping[str, Mapping[str, Any]]
    """By search what `compare_captions` gives, against Keras."""


@dataclass(frozen=True)
class Measurement:
    """What files of the captioner say of a split, and how it scores."""

    data: str
    """The dataset."""
    split: str
    """Its split."""
    images: int
    """Photographs of it."""
    search: str
    """The captioner's own search, "greedy" or e.g. "beam 3"; greedy and a beam are scored."""
    calibration: Mapping[str, Any]
    """"images", how many static-int8 was calibrated on; "of", which; "seed", that chose them."""
    keras: Mapping[str, Mapping[str, Any]]
    """By search the scores of the Keras model, as in `TargetFigures.scores`."""
    mentions: Mapping[str, Mapping[str, int]]
    """What `edgecap.metrics.mentions` finds in Keras' captions by the captioner's own search."""
    targets: tuple[TargetFigures, ...]
    """The files, float32 .tflite first."""
    samples: Mapping[str, Mapping[str, str]]
    """For each sample photograph in the box what "FORMAT RECIPE" says of it."""
    weights_sha256: str
    """Hash of the weights that were measured."""
    made: Mapping[str, Any]
    """"command", "measured" (the day), "machine" and "tools", the versions."""

    def target(self, suffix: str, recipe: str) -> TargetFigures | None:
        """Give one file's figures, None if it was not measured."""
        found = (each for each in self.targets if (each.format, each.recipe) == (suffix, recipe))
        return next(found, None)


@dataclass(frozen=True)
class Record:
    """A captioner by what is known of it."""

    name: str
    """What it is called."""
    encoder: Mapping[str, Any]
    """"name", and how it is built."""
    decoder: Mapping[str, Any]
    """"name", and how it is built."""
    defaults: Mapping[str, Any]
    """How captions are searched for, as `DecodingOptions` has it; may be empty."""
    words: int | None
    """Size of the vocabulary, None where it is not known."""
    provenance: Mapping[str, Any]
    """As the run has it: "data", "licence", "command", training settings, dev scores."""
    curve: tuple[Mapping[str, str], ...] = ()
    """The rows of the training's `history.csv`, if it was kept."""
    seeds: tuple[Mapping[str, Any], ...] = ()
    """"seed", that of each training in their order, and "dev" scores of captioners that differ by
    these alone, this one first; empty if this is the only one. See `edgecap.seeds`."""
    measurement: Measurement | None = None
    """How it scores as files, if that was measured."""

    @property
    def trainings(self) -> list[Mapping[str, Any]]:
        """Provenance of the trainings that it comes from, each once, the oldest first and its own
        last."""
        return trainings_of(self.provenance)

    @property
    def commands(self) -> list[str]:
        """Commands that make it, in their order; empty where they are not known."""
        return commands_of(self.trainings)

    @property
    def seconds(self) -> float:
        """What those trainings took; 0 where it is not known."""
        return float(sum(each.get("scores", {}).get("seconds", 0) for each in self.trainings))

    @classmethod
    def of_run(cls, folder: Path) -> Record:
        """Read what a run says of itself.

        Raises:
            EdgecapError: the run can't be read.
        """
        run = _read_json(folder / "run.json")
        with _damage_named(folder / "run.json"):
            vocabulary = (folder / "vocabulary.txt").read_text("utf-8").splitlines()
            return cls(
                name=run["name"],
                encoder=run["encoder"],
                decoder=run["decoder"],
                defaults=run["defaults"],
                words=len(vocabulary),
                provenance=unfolded(run["provenance"]),
                curve=_read_curve(folder / "history.csv"),
            )

    def measured(self, measurement: Measurement) -> Record:
        """Give the record with other figures."""
        return replace(self, measurement=measurement)


def read_record(folder: Path) -> Record:
    """Read a captioner's record, or what its run says where there is none.

    Raises:
        EdgecapError: neither is there, or it is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return Record.of_run(folder)
    read = _read_json(path)
    with _damage_named(path):
        version = read.pop("record_version")
        if version > _VERSION:
            raise EdgecapError(
                f"{str(path)!r} has record version {version}, this edgecap reads {_VERSION}; "
                "upgrade edgecap"
            )
        measured = read.pop("measurement", None)
        if measured is not None:
            targets = tuple(TargetFigures(**target) for target in measured.pop("targets"))
            measured = Measurement(targets=targets, **measured)
        curve, seeds = (tuple(read.pop(key, ())) for key in ("curve", "seeds"))
        made = unfolded(read.pop("provenance"))
        return Record(measurement=measured, curve=curve, seeds=seeds, provenance=made, **read)


def write_record(record: Record, folder: Path) -> None:
    """Write `record.json`, whole or not at all."""
    make_folder(folder)
    whole = asdict(replace(record, provenance=folded(record.provenance)))
    with replacing(folder / RECORD) as stream:
        text = json.dumps({"record_version": _VERSION, **whole}, indent=1, ensure_ascii=False)
        stream.write(f"{text}\n".encode())


def _read_json(path: Path) -> dict[str, Any]:
    with _damage_named(path):
        read: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return read


def _read_curve(path: Path) -> tuple[Mapping[str, str], ...]:
    if not path.is_file():
        return ()
    with open(path, encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes go wrong into one sentence, an `EdgecapError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as problem:
        raise EdgecapError(
            f"{str(path)!r} can't be read ({type(problem).__name__}: {problem}); restore it, or "
            "publish the captioner again"
        ) from problem
