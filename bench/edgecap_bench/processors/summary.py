"""Figures over many rows: rounding between processors, and what int8 buys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Gain", "Rounding", "gains", "int8_products", "roundings"]

_NATIVE = "native"
_INT8_PRODUCTS = {"avx512_vnni": "AVX512-VNNI", "avx_vnni": "AVX-VNNI"}
_X86 = ("x86_64", "AMD64", "i686")


@dataclass(frozen=True)
class Rounding:
    """How far right processors are apart in one recipe and format."""

    recipe: str
    """The recipe's name."""
    format: str
    """The file's ending."""
    words_nats: float
    """Largest difference, against the exporting machine, of a log probability of Keras' words at
    equal prefixes, over all other processors; NaN where one answered with what is no number."""
    any_word_nats: float
    """The same over the whole vocabulary."""
    processor: str
    """The processor that has the first of these."""
    processors: int
    """Over how many."""


@dataclass(frozen=True)
class Gain:
    """What int8 buys on one real processor."""

    captioner: str
    """The captioner's name."""
    processor: str
    """The processor's name."""
    format: str
    """The files' ending."""
    float_ms: float
    """Median time of the float32 file's encoder."""
    int8_ms: float
    """Median time of the static-int8 file's encoder."""


def roundings(rows: Sequence[Mapping[str, Any]]) -> list[Rounding]:
    """Summarize rows, as `Record.rows` has them, by recipe and format in their order.

    Rows of the exporting machine and those that failed count for nothing.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["processor"] != _NATIVE and "failed" not in row:
            groups.setdefault((row["recipe"], row["format"]), []).append(row)
    return [
        Rounding(
            recipe,
            suffix,
            words_nats=(furthest := max(group, key=_words_nats))["words_nats"],
            any_word_nats=max((row["any_word_nats"] for row in group), key=_or_infinity),
            processor=furthest["processor"],
            processors=len({row["processor"] for row in group}),
        )
        for (recipe, suffix), group in groups.items()
    ]


def gains(rows: Sequence[Mapping[str, Any]], timed: Sequence[str]) -> list[Gain]:
    """Compare the times of float32 and static-int8 where both were measured.

    timed: names of the processors whose times mean something.
    """
    times = {
        (row["captioner"], row["processor"], row["format"], row["recipe"]): row["encode_ms"]
        for row in rows
        if row["processor"] in timed and "failed" not in row
    }
    return [
        Gain(captioner, processor, suffix, ms, times[captioner, processor, suffix, "static-int8"])
        for (captioner, processor, suffix, recipe), ms in times.items()
        if recipe == "float32" and (captioner, processor, suffix, "static-int8") in times
    ]


def int8_products(machine: Mapping[str, Any]) -> str:
    """Return which instructions for 8-bit products a machine has, as `describe_machine` says it."""
    if machine["architecture"] not in _X86 or not machine["flags"]:
        return "unknown"
    found = [name for flag, name in _INT8_PRODUCTS.items() if flag in machine["flags"]]
    return " and ".join(found) or "neither AVX512-VNNI nor AVX-VNNI"


def _words_nats(row: Mapping[str, Any]) -> float:
    return _or_infinity(row["words_nats"])


def _or_infinity(value: float) -> float:
    # What is no number compares with nothing, and has to be seen.
    return math.inf if math.isnan(value) else value
