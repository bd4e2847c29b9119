"""Treatments and recipes: what can be asked for, and what a file must hold to be it."""

from __future__ import annotations

import json

import pytest

from edgecap_export import ExportError, Recipe, recipe_named, recipe_names
from edgecap_export.exporting import _check_possible
from edgecap_export.graph_view import GraphView, Node, encoder_parts
from edgecap_export.inspection import Inspection, check
from edgecap_export.recipes import RANGES
from edgecap_export.treatments import PARTS, TREATMENTS
from edgecap_runtime.errors import OptionError

GATE = recipe_named("float32").gate
FLOATS = dict.fromkeys(PARTS, ("float32",))


@pytest.mark.parametrize("name", TREATMENTS)
def test_what_a_file_must_hold_it_may_hold_and_the_nearest_is_known(name):
    treatment = TREATMENTS[name]
    assert treatment.required
    assert treatment.required <= treatment.weight_types
    assert treatment.nearest is None or treatment.nearest in TREATMENTS
    bits = {"float32": 32, "float16": 16, "int8": 8, "uint8": 8, "int4": 4}
    # Two values of 4 bits are packed in a uint8.
    assert treatment.widest in {bits[kind] for kind in treatment.required} | {4}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", TREATMENTS)
def test_a_part_has_the_treatments_that_say_so(part, name):
    if part in TREATMENTS[name].parts:
        assert Recipe("mine", "", GATE, **{part: name}).treatment(part) == name
    else:
        with pytest.raises(OptionError, match=f"treats the {part} by '{name}'; choose .*float32"):
            Recipe("mine", "", GATE, **{part: name})


def test_logits_are_never_static():
    """Their range is that of all words: the differences that matter would be lost."""
    with pytest.raises(OptionError) as raised:
        recipe_named("static-int8").changed(output="static-int8")
    assert str(raised.value) == (
        "Recipe 'static-int8' treats the output by 'static-int8'; choose among float32, float16, "
        "dynamic-int8, dynamic-int8-tensor, dynamic-int4."
    )


def test_unknown_way_of_taking_ranges_lists_the_known_ones():
    with pytest.raises(OptionError, match=f"by 'widest'; choose among {', '.join(RANGES)}"):
        Recipe("mine", "", GATE, ranges="widest")


def test_recipes_that_need_photographs_say_so():
    assert {name for name in recipe_names() if not recipe_named(name).calibrated} == {
        "float32",
        "float16",
        "dynamic-int8",
    }
    assert not Recipe("mine", "", GATE, step="dynamic-int8").calibrated
    assert Recipe("mine", "", GATE, step="dynamic-int4").calibrated


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name):
    recipe = recipe_named(name).changed(keep_float=("conv1", "mixed0"))
    given = json.loads(json.dumps(recipe.to_dict()))
    gate = type(recipe.gate)(**given.pop("gate"))
    assert Recipe(**{**given, "gate": gate, "keep_float": tuple(given["keep_float"])}) == recipe


def test_no_two_recipes_are_the_same_by_another_name():
    treated = [
        tuple(recipe_named(name).treatment(part) for part in PARTS) for name in recipe_names()
    ]
    assert len(set(treated)) == len(treated)


def fits(recipe: Recipe, **types: tuple[str, ...]) -> bool:
    try:
        check(Inspection(("Add",), (), {}, {**FLOATS, **types}), recipe)
    except ExportError:
        return False
    return True


@pytest.mark.parametrize(
    ("part", "treatment", "right", "wrong"),
    [
        ("encoder", "float16", [("float16",), ("float16", "float32")], [("float32",), ("int8",)]),
        ("encoder", "static-int8", [("int8",), ("uint8",)], [("float32", "int8"), ("int4",), ()]),
        ("encoder", "static-int4", [("int4",), ("int4", "int8")], [("int8",), ("float32", "int4")]),
        ("embedding", "int4-rows", [("uint8",)], [("int8",), ("float32",)]),
        ("step", "dynamic-int8-tensor", [("int8",)], [("float32", "int8"), ("float32",)]),
        ("output", "dynamic-int4", [("int4",), ("uint8",)], [("int8",), ("float32", "int4")]),
    ],
)
def test_types_of_a_part_in_the_file(part, treatment, right, wrong):
    recipe = Recipe("mine", "", GATE, **{part: treatment})
    assert all(fits(recipe, **{part: types}) for types in right)
    assert not any(fits(recipe, **{part: types}) for types in wrong)


def test_blocks_kept_in_float_are_the_encoders_alone():
    recipe = Recipe(
        "mine", "", GATE, encoder="static-int8", step="dynamic-int8", keep_float=("conv1",)
    )
    quantized = {"step": ("int8",)}
    assert fits(recipe, encoder=("float32", "int8"), **quantized)
    # All of its blocks may be kept.
    assert fits(recipe, encoder=("float32",), **quantized)
    assert not fits(recipe, encoder=("float16", "int8"), **quantized)
    assert not fits(recipe, encoder=("int8",), step=("float32", "int8"))
    assert not fits(recipe.changed(keep_float=()), encoder=("float32", "int8"), **quantized)


def test_delicate_blocks_are_spared_where_ranges_are_calibrated():
    delicate = ("conv1", "conv_dw_1")
    static = recipe_named("static-int8")
    assert static.sparing(delicate).keep_float == delicate
    assert static.sparing(()) == static
    own = static.changed(keep_float=("conv_pw_9", "conv1"))
    assert own.sparing(delicate).keep_float == ("conv_pw_9", "conv1", "conv_dw_1")
    assert own.sparing(delicate).sparing(delicate) == own.sparing(delicate)
    for recipe in (recipe_named("float16"), static.changed(spare_delicate=False)):
        assert recipe.sparing(delicate) == recipe


def graph(*nodes: str) -> GraphView:
    """One node after the other: the name of its operator is all that a node has."""
    made = [f"t{place}" for place in range(len(nodes) + 1)]
    chain = zip(nodes, made, made[1:], strict=False)
    return GraphView(tuple(Node(op, (a,), (b,)) for op, a, b in chain), {}, {})


@pytest.mark.parametrize("pool", ["MEAN", "GlobalAveragePool", "AVERAGE_POOL_2D", "MaxPool"])
def test_what_makes_the_first_state_of_the_features_is_the_steps(pool):
    nodes = ("Cast", "Conv", pool, "FULLY_CONNECTED", "TANH")
    assert encoder_parts(graph(*nodes)) == ("encoder",) * 3 + ("step",) * 2


def test_a_branch_that_no_image_passes_is_the_steps():
    view = GraphView(
        (
            Node("CONV_2D", ("image", "w"), ("map",)),
            Node("MatMul", ("zeros", "u"), ("recurrent",)),
            Node("MEAN", ("map",), ("features",)),
            Node("MatMul", ("features", "v"), ("straight",)),
            Node("ADD", ("straight", "recurrent"), ("state",)),
        ),
        {},
        {"state_h": "state"},
    )
    assert encoder_parts(view) == ("encoder", "step", "encoder", "step", "step")


def test_an_encoder_without_an_image_operator_is_all_encoder():
    assert encoder_parts(graph("Reshape", "MatMul")) == ("encoder", "encoder")


class Poor:
    """A format that has some treatments only."""

    name = "Poor"

    def __init__(self, *has: str) -> None:
        self.has = has

    def lacks(self, graph, recipe):
        parts = [part for part in PARTS if recipe.treatment(part) not in self.has]
        return dict.fromkeys(parts, "it is poor")


@pytest.mark.parametrize(
    ("part", "treatment", "has", "nearest"),
    [
        ("step", "dynamic-int4", ["dynamic-int8"], "dynamic-int8"),
        ("step", "dynamic-int4", ["static-int8"], "static-int8"),
        ("encoder", "static-int4", ["dynamic-int8"], "dynamic-int8"),
        ("encoder", "static-int4-lines", ["static-int8"], "static-int8"),
        # Each is the other's nearest.
        ("step", "static-int8", [], "float32"),
        # Logits are never static.
        ("output", "dynamic-int8", ["static-int8"], "float32"),
    ],
)
def test_what_a_format_lacks_is_refused_with_the_nearest_that_it_has(part, treatment, has, nearest):
    recipe = Recipe("mine", "", GATE, **{part: treatment})
    with pytest.raises(OptionError) as raised:
        _check_possible(Poor("float32", *has), None, recipe)
    assert str(raised.value).startswith(
        f"Poor can't have the {part} as '{treatment}', which recipe 'mine' asks for: it is poor; "
        f"the nearest that works is '{nearest}', in "
    )
