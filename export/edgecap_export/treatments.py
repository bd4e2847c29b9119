"""Treatments: what can become of the weights and activations of one part of a captioner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LEAST_HALVED", "PARTS", "TREATMENTS", "Treatment"]

PARTS = ("encoder", "embedding", "step", "output")
"""Encoder (image to features), word vectors, recurrent step (first state too), logits."""

LEAST_HALVED = 10_000
"""Weights from which on `float16` halves a layer: small ones save nothing, and some of them,
depthwise ones at an encoder's start, are those that rounding hurts most."""

_ENCODER = ("encoder",)
_DECODER = ("step", "output")
_PRODUCTS = ("encoder", "step", "output")


@dataclass(frozen=True)
class Treatment:
    """What can become of a part, and how the written file shows that it did."""

    description: str
    """In a few words."""
    parts: tuple[str, ...]
    """The parts that can be treated so."""
    weight_types: frozenset[str]
    """Types that the part's matrices may have in the file."""
    required: frozenset[str]
    """Types of which at least one must be there."""
    nearest: str | None = None
    """The treatment to take where a format or a decoder can't have this one."""
    calibrated: bool = False
    """Whether it takes photographs: ranges of activations, or what a layer is mostly given."""
    widest: int = 32
    """Bits of a weight, most of them."""


def _treatment(
    description: str,
    parts: tuple[str, ...],
    types: str,
    *,
    also: str = "",
    nearest: str | None = None,
    calibrated: bool = False,
    bits: int = 32,
) -> Treatment:
    required = frozenset(types.split())
    legal = required | frozenset(also.split())
    return Treatment(description, parts, legal, required, nearest, calibrated, bits)


TREATMENTS: Mapping[str, Treatment] = {
    "float32": _treatment("as trained", PARTS, "float32"),
    "float16": _treatment(
        "float16 weights but for the smallest, float32 arithmetic",
        PARTS,
        "float16",
        also="float32",
        bits=16,
    ),
    # One float scale a word; looked up, cast and multiplied, so no interpreter needs to know.
    "int8-rows": _treatment("int8, a scale a word", ("embedding",), "int8", bits=8),
    # The same with two values in a byte, taken apart by arithmetic on floats.
    "int4-rows": _treatment("int4, a scale a word", ("embedding",), "uint8", bits=4),
    # Activations are quantized as they come, each row by itself.
    "dynamic-int8": _treatment(
        "int8 weights, a scale a channel; activations quantized as they come",
        _PRODUCTS,
        "int8 uint8",
        nearest="static-int8",
        bits=8,
    ),
    # tflite-runtime 2.14 and Android's older libraries know no scale a channel here.
    "dynamic-int8-tensor": _treatment(
        "int8 weights, a scale a matrix; activations quantized as they come",
        _DECODER,
        "int8",
        nearest="dynamic-int8",
        bits=8,
    ),
    "dynamic-int4": _treatment(
        "int4 weights; activations quantized as they come",
        _DECODER,
        "int4 uint8",
        nearest="dynamic-int8",
        calibrated=True,
        bits=4,
    ),
    "static-int8": _treatment(
        "int8 weights, a scale a channel; int8 activations in calibrated ranges",
        ("encoder", "step"),
        "int8 uint8",
        nearest="dynamic-int8",
        calibrated=True,
        bits=8,
    ),
    "static-int4": _treatment(
        "as static-int8, but int4 weights in convolutions of one pixel",
        _ENCODER,
        "int4",
        also="int8",
        nearest="static-int8",
        calibrated=True,
        bits=4,
    ),
    # LiteRT has fast kernels for neither; for these it takes twice the time of those.
    "static-int4-lines": _treatment(
        "as static-int4, and int4 weights too in convolutions of a row or a column",
        _ENCODER,
        "int4",
        also="int8",
        nearest="static-int4",
        calibrated=True,
        bits=4,
    ),
    "static-int16x8": _treatment(
        "int8 weights; int16 activations in calibrated ranges",
        _ENCODER,
        "int8",
        nearest="static-int8",
        calibrated=True,
        bits=8,
    ),
}
