"""Where the Pi says other words than this machine: was that a tie, or something broken?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import log_probabilities
from edgecap_runtime.filters import NeverSaid
from edgecap_runtime.preparation import prepare

__all__ = ["Told", "tell", "tie"]


@dataclass(frozen=True)
class Told:
    """Some words of a photograph, by this machine's own steps over them."""

    log_probability: float
    """Of all of them and the end."""
    behind: float
    """At the first place where greedy search would choose otherwise, by how many nats the word here
    is behind the likeliest; 0 where there is none."""


def tie(file: Path) -> float:
    """Return the nats between two words that pass for one: the tolerance that the file carries."""
    carried = read_manifest(file).check
    if carried is None:
        raise ValueError(f"{file.name} carries nothing to check itself by.")
    return carried.tolerance


def tell(file: Path, photo: Path, ids: Sequence[int]) -> Told:
    """Run this machine's steps over the words that the Pi said.

    ids: the words', without start and end, shorter than the file's limit: the end follows.
    """
    manifest = read_manifest(file)
    vocabulary = manifest.vocabulary
    backend = open_backend(file, manifest, threads=1)
    try:
        state = backend.encode(prepare(photo, manifest.preparation))
        tokens = [*ids, vocabulary.end_id]
        answers = []
        for token in [vocabulary.start_id, *ids]:
            logits, state = backend.step(np.array([token], np.int32), state)
            answers.append(logits)
    finally:
        backend.close()
    total = sum(log_probabilities(answers, tokens))
    allowed = np.concatenate(answers)
    NeverSaid(vocabulary).apply(allowed, [()] * len(tokens))
    gaps = (allowed.max(axis=1) - allowed[np.arange(len(tokens)), tokens]).tolist()
    return Told(total, next((gap for gap in gaps if gap > 0), 0.0))
