"""Recipes: what becomes of the weights of each part of a captioner, as named data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecap_runtime.errors import OptionError

__all__ = [
    "PARTS",
    "TREATMENTS",
    "Gate",
    "Recipe",
    "Treatment",
    "recipe_named",
    "recipe_names",
    "register_recipe",
]

PARTS = ("encoder", "embedding", "step", "output")
"""Encoder (the whole `encode` graph, first state too), word vectors, recurrent step, logits."""


@dataclass(frozen=True)
class Treatment:
    """What can become of a part's weights, and how the written file shows that it did."""

    parts: tuple[str, ...]
    """The parts that can be treated so."""
    weight_types: frozenset[str]
    """Types that the part's matrices may have in the file; all must have one of them."""


TREATMENTS: Mapping[str, Treatment] = {
    "float32": Treatment(PARTS, frozenset({"float32"})),
    # One float scale per word; looked up, cast and multiplied, so no interpreter needs to know.
    "int8-rows": Treatment(("embedding",), frozenset({"int8"})),
    # int8 weights with a scale per output channel; activations are quantized as they come.
    "dynamic-int8": Treatment(("step", "output"), frozenset({"int8", "uint8"})),
}


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
    """Treatment of the encoder, the first state included."""
    embedding: str = "float32"
    """Treatment of the word vectors."""
    step: str = "float32"
    """Treatment of the recurrent step's matrices."""
    output: str = "float32"
    """Treatment of the matrices between the decoder's state and the logits."""

    def __post_init__(self) -> None:
        for part in PARTS:
            legal = [name for name, known in TREATMENTS.items() if part in known.parts]
            if self.treatment(part) not in legal:
                raise OptionError(
                    f"Recipe {self.name!r} treats the {part} by {self.treatment(part)!r}; "
                    f"choose among {', '.join(legal)}."
                )

    def treatment(self, part: str) -> str:
        """Give the treatment of one of `PARTS`."""
        return str(getattr(self, part))

    def parts_treated(self, treatment: str) -> frozenset[str]:
        """Give the parts that are treated so."""
        return frozenset(part for part in PARTS if self.treatment(part) == treatment)


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


register_recipe(
    Recipe(
        name="float32",
        description="all weights as they were trained",
        gate=Gate(identical=0.999, log_probability=1e-3, quantile=1.0),
    )
)
register_recipe(
    Recipe(
        name="dynamic-int8",
        description="decoder in int8, its activations quantized as they come; float encoder",
        gate=Gate(identical=0.9, log_probability=0.1, quantile=0.99),
        embedding="int8-rows",
        step="dynamic-int8",
        output="dynamic-int8",
    )
)
