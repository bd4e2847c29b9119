"""What a file said on one processor, against Keras and against the exporting machine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgecap_bench.processors.keras_side import KerasSide
from edgecap_bench.processors.saying import Said
from edgecap_export.parity import ENOUGH_IMAGES
from edgecap_export.tally import DifferenceTally

__all__ = ["judge"]


def judge(said: Said, native: Said, keras: KerasSide, gate: Mapping[str, float]) -> dict[str, Any]:
    """Compare what a file said with Keras and with the exporting machine.

    Args:
        said: about the first images.
        native: what the file said on the exporting machine, about as many images or more.
        keras: what Keras said.
        gate: the recipe's, as JSON: "identical", "log_probability", "quantile".

    Returns what JSON can hold:
        "images": how many;
        "as_keras", "as_native": captions that are the same, word for word;
        "caption_nats": largest difference of a caption's log probability against the exporting
            machine's, of captions that are the same; None where none is;
        "words_nats": largest difference, against the exporting machine, of a log probability of
            Keras' own words and ends at equal prefixes;
        "any_word_nats": the same over the whole vocabulary;
        "keras_nats": the gate's quantile of the differences against Keras over the vocabulary;
        "holds": whether the gate holds: by "keras_nats", and by captions from 100 images on;
        "encode_ms", "caption_ms": medians without the first image, if there are more.
    """
    images = len(said.ids)
    rows = keras.rows(images)
    here, there = said.equal_prefixes, native.equal_prefixes[:rows]
    tokens = [token for of_image in keras.tokens[:images] for token in of_image]
    chosen = (np.arange(rows), tokens)
    same = [own == other for own, other in zip(said.ids, native.ids[:images], strict=True)]
    as_keras = sum(own == its for own, its in zip(said.ids, keras.greedy[:images], strict=True))
    tally = DifferenceTally()
    tally.add(here, keras.equal_prefixes[:rows])
    reached = tally.quantile(gate["quantile"])
    enough = as_keras >= gate["identical"] * images - 1e-9 or images < ENOUGH_IMAGES
    captions = [
        abs(own - other)
        for own, other, equal in zip(
            said.log_probabilities, native.log_probabilities[:images], same, strict=True
        )
        if equal
    ]
    return {
        "images": images,
        "as_keras": as_keras,
        "as_native": sum(same),
        "caption_nats": max(captions, default=None),
        "words_nats": _largest(here[chosen] - there[chosen]),
        "any_word_nats": _largest(here - there),
        "keras_nats": float(reached),
        # Written so that a difference that is not a number fails.
        "holds": bool(reached <= gate["log_probability"]) and enough,
        "encode_ms": _median(said.encode_ms),
        "caption_ms": _median(said.caption_ms),
    }


def _largest(differences: Any) -> float:
    return float(np.abs(differences).max())


def _median(times: Sequence[float]) -> float:
    return statistics.median(times[1:] or times)
