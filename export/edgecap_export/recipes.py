"""Recipes: what becomes of the weights and activations of each part, as named data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgecap_export.treatments import PARTS, TREATMENTS
from edgecap_runtime.errors import OptionError

__all__ = [
    "PROCESSORS",
    "RANGES",
    "Gate",
    "Recipe",
    "recipe_named",
    "recipe_names",
    "register_recipe",
]

RANGES = ("min-max", "moving-average", "percentile")
"""How the range of an activation is taken from what it was over the calibration images."""

PROCESSORS = ("any", "vnni")
"""Processors that integer products are to be right on: any, or those x86 ones alone that have
VNNI, where all weights may use 8 bits."""


@dataclass(frozen=True)
class Gate:
    """What an exported file must reach against Keras to be written at all."""

    identical: float
    """Least share of captions that are token for token the same, greedy and beam each, 0 to 1."""
    log_probability: float
    """Largest difference of log probabilities (nats) at equal prefixes."""
    quantile: float
    """Quantile of the differences that the bound is for; 1 means the largest."""


@dataclass(frozen=True)
class Recipe:
    """A named choice of treatment per part; raises `OptionError` for an impossible one."""

    name: str
    """What users call it."""
    description: str
    """One line for help texts."""
    gate: Gate
    """What a file made by it must reach."""
    encoder: str = "float32"
    """Treatment of the encoder, image to features."""
    embedding: str = "float32"
    """Treatment of the word vectors."""
    step: str = "float32"
    """Treatment of the recurrent step's matrices, those that make the first state included."""
    output: str = "float32"
    """Treatment of the matrices between the decoder's state and the logits."""
    keep_float: tuple[str, ...] = ()
    """Blocks of the encoder whose weights and activations stay float32 (see `blocks`)."""
    spare_delicate: bool = True
    """Whether the blocks that int8 is known to hurt in this family of encoders
    (`CaptionerSource.delicate_blocks`) stay float32 too, where ranges are calibrated."""
    ranges: str = "min-max"
    """How ranges of activations are calibrated, one of `RANGES`."""
    bias_correction: bool = True
    """Whether the mean of what rounding the weights changes is taken from each bias."""

    processor: str = "any"
    """The processors that an .onnx file's integer products are to be right on, one of
    `PROCESSORS`; LiteRT's are right on all."""

    def __post_init__(self) -> None:
        for part in PARTS:
            legal = [name for name, known in TREATMENTS.items() if part in known.parts]
            if self.treatment(part) not in legal:
                raise OptionError(
                    f"Recipe {self.name!r} treats the {part} by {self.treatment(part)!r}; "
                    f"choose among {', '.join(legal)}."
                )
        if self.ranges not in RANGES:
            raise OptionError(
                f"Recipe {self.name!r} takes ranges by {self.ranges!r}; choose among "
                f"{', '.join(RANGES)}."
            )
        if self.processor not in PROCESSORS:
            raise OptionError(
                f"Recipe {self.name!r} is for the processor {self.processor!r}; choose among "
                f"{', '.join(PROCESSORS)}."
            )

    def treatment(self, part: str) -> str:
        """Give the treatment of one of `PARTS`."""
        return str(getattr(self, part))

    def parts_treated(self, *treatments: str) -> frozenset[str]:
        """Give the parts that are treated by one of these."""
        return frozenset(part for part in PARTS if self.treatment(part) in treatments)

    @property
    def calibrated(self) -> bool:
        """Whether it takes photographs to make a file by it."""
        return any(TREATMENTS[self.treatment(part)].calibrated for part in PARTS)

    def sparing(self, delicate: Sequence[str]) -> Recipe:
        """Give the recipe that also keeps these blocks in float32, if it is one that spares."""
        if not (self.spare_delicate and TREATMENTS[self.encoder].calibrated):
            return self
        return self.changed(keep_float=tuple(dict.fromkeys([*self.keep_float, *delicate])))

    def changed(self, **fields: Any) -> Recipe:
        """Give a copy with other values in some fields, checked as a new one is."""
        return replace(self, **fields)

    def to_dict(self) -> dict[str, Any]:
        """Give it as what JSON can hold."""
        return {**asdict(self), "keep_float": list(self.keep_float)}


_RECIPES: dict[str, Recipe] = {}


def register_recipe(recipe: Recipe) -> Recipe:
    """Make a recipe known by its name; a name that is taken raises `OptionError`."""
    if _RECIPES.get(recipe.name, recipe) != recipe:
        raise OptionError(f"A recipe {recipe.name!r} exists already; choose another name.")
    _RECIPES[recipe.name] = recipe
    return recipe


def recipe_named(name: str) -> Recipe:
    """Look a recipe up; an unknown name raises `OptionError`, which lists the known ones."""
    if name not in _RECIPES:
        raise OptionError(f"There is no recipe {name!r}; choose among {', '.join(_RECIPES)}.")
    return _RECIPES[name]


def recipe_names() -> tuple[str, ...]:
    """Give the names of all recipes, in the order of their registration."""
    return tuple(_RECIPES)


_INT8 = Gate(identical=0.9, log_probability=0.1, quantile=0.99)
# An int8 encoder sees another picture, a little: its words may differ, its scores may not.
_INT8_ENCODER = Gate(identical=0.5, log_probability=1.0, quantile=0.99)
_COARSE = Gate(identical=0.2, log_probability=3.0, quantile=0.99)
_INT8_DECODER: dict[str, Any] = {
    "embedding": "int8-rows",
    "step": "dynamic-int8",
    "output": "dynamic-int8",
}
_INT4_DECODER: dict[str, Any] = {
    "embedding": "int4-rows",
    "step": "dynamic-int4",
    "output": "dynamic-int4",
}

for _recipe in (
    Recipe(
        "float32",
        "all weights as they were trained",
        Gate(identical=0.999, log_probability=1e-3, quantile=1.0),
    ),
    Recipe(
        "float16",
        "all weights in float16, arithmetic in float32",
        Gate(identical=0.95, log_probability=0.05, quantile=0.99),
        encoder="float16",
        embedding="float16",
        step="float16",
        output="float16",
    ),
    Recipe(
        "dynamic-int8",
        "decoder in int8, its activations quantized as they come; float encoder",
        _INT8,
        **_INT8_DECODER,
    ),
    Recipe(
        "static-int8",
        "encoder in int8 in calibrated ranges; decoder as in dynamic-int8",
        _INT8_ENCODER,
        encoder="static-int8",
        **_INT8_DECODER,
    ),
    Recipe(
        "int16x8",
        "encoder with int8 weights and int16 activations; decoder as in dynamic-int8",
        _INT8_ENCODER,
        encoder="static-int16x8",
        **_INT8_DECODER,
    ),
    Recipe(
        "small",
        "encoder as in static-int8; decoder and word vectors in int4",
        _COARSE,
        encoder="static-int8",
        **_INT4_DECODER,
    ),
    Recipe(
        "weight-int4",
        "decoder, word vectors and the encoder's one-pixel convolutions in int4, the rest int8",
        _COARSE,
        encoder="static-int4",
        **_INT4_DECODER,
    ),
    Recipe(
        "smallest",
        "weight-int4 with the encoder's convolutions of a row or a column in int4 too: slow",
        _COARSE,
        encoder="static-int4-lines",
        **_INT4_DECODER,
    ),
    Recipe(
        "compat",
        "static-int8 as tflite-runtime 2.14 and old Android libraries run it",
        _INT8_ENCODER,
        encoder="static-int8",
        embedding="int8-rows",
        step="dynamic-int8-tensor",
        output="dynamic-int8-tensor",
    ),
    Recipe(
        "static-step",
        "static-int8 with the recurrent step in calibrated ranges too: it costs words",
        _COARSE,
        encoder="static-int8",
        embedding="int8-rows",
        step="static-int8",
        output="dynamic-int8",
    ),
):
    register_recipe(_recipe)
