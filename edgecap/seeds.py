"""One training by several seeds: what its figures owe to chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecap.encoders import EncoderOptions
from edgecap.record import Record
from edgecap.settings import with_defaults
from edgecap.training.options import TrainingOptions
from edgecap_runtime.errors import OptionError


def with_other_seeds(record: Record, others: Sequence[Path]) -> Record:
    """Put the dev scores of a training by other seeds beside its own.

    Args:
        record: a captioner that was trained, or is the mean of captioners that were.
        others: runs that were made alike, with other seeds in one of their trainings or in all.

    Returns:
        The record with `seeds`; none where there are no others.

    Raises:
        OptionError: one of the others is another training, or has the seeds of one before.
        EdgecapError: one can't be read.
    """
    known = [record]
    for path in others:
        other = Record.of_run(path)
        if _recipe(other) != _recipe(record):
            raise OptionError(
                f"{str(path)!r} is another training than {record.name!r}: it differs in more than "
                "its seed; give runs of the same encoder, decoder, data and settings"
            )
        if _seeds(other) in [_seeds(each) for each in known]:
            raise OptionError(
                f"{str(path)!r} has the same seed, {seed_name(_seeds(other))}, as one before it; "
                "give another run"
            )
        known.append(other)
    scored = tuple(
        {"seed": _seeds(each), "dev": each.provenance.get("scores", {}).get("dev", {})}
        for each in known
    )
    return replace(record, seeds=scored if others else ())


def seed_name(seeds: int | Sequence[int] | None) -> str:
    """Give the seed that all trainings of a captioner have, or each one's in their order."""
    if not isinstance(seeds, Sequence):
        return str(seeds)  # a record of before there could be several
    several = seeds if len(set(seeds)) > 1 else seeds[:1]
    return ", ".join(str(seed) for seed in several) or "-"


def seed_names(several: Sequence[int | Sequence[int] | None]) -> list[str]:
    """Name captioners by their seeds, each as `seed_name`, leaving out what all have alike.

    Such are the trainings of a teacher that all learned from.
    """
    lists = [seeds for seeds in several if isinstance(seeds, Sequence)]
    if len(lists) != len(several) or len({len(seeds) for seeds in lists}) != 1:
        return [seed_name(seeds) for seeds in several]
    of_each_training = [seeds for seeds in zip(*lists, strict=True) if len(set(seeds)) > 1]
    return [seed_name(seeds) for seeds in zip(*of_each_training, strict=True)] or [
        seed_name(seeds) for seeds in lists
    ]


def _seeds(record: Record) -> list[int]:
    trainings = (each.get("training") for each in record.trainings)
    return [training["seed"] for training in trainings if training]


def _recipe(record: Record) -> Any:
    """Give all that makes a captioner but seeds, names and folders."""
    encoder = with_defaults(record.encoder, EncoderOptions())
    return encoder, record.decoder, record.provenance.get("data"), _settings(record.provenance)


def _settings(made: Mapping[str, Any]) -> Any:
    training = made.get("training")
    before = [made.get(key) for key in ("begun_from", "encoder_of")]
    return (
        {**with_defaults(training, TrainingOptions()), "seed": None} if training else None,
        [_settings(each) if each else None for each in before],
        [_settings(teacher) for teacher in made.get("teachers", ())],
        [(part["share"], _settings(part)) for part in made.get("averaged", ())],
    )
