"""In which order targets take their turns."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["turns"]


def turns(labels: Sequence[str], rounds: int, seed: int) -> Iterator[tuple[int, str]]:
    """Yield (round, label): each label once a round, in an order drawn anew for each round.

    Whatever drifts while the benchmark runs (heat, other programs) then meets every target alike.
    """
    chance = random.Random(seed)
    for place in range(rounds):
        order = list(labels)
        chance.shuffle(order)
        for label in order:
            yield place, label
