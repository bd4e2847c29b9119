"""Recipes from files of a user's own."""

from __future__ import annotations

import json

import pytest

from edgecap_export import Gate, read_recipe, recipe_named, recipe_names
from edgecap_runtime.errors import OptionError


def written(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_with_a_base(tmp_path):
    path = written(
        tmp_path,
        """
        base = "static-int8"
        keep_float = ["conv1", "conv_dw_1"]
        ranges = "percentile"
        bias_correction = false

        [gate]
        identical = 0.75
        """,
    )
    base = recipe_named("static-int8")
    assert read_recipe(path) == base.changed(
        name="mine",
        description="static-int8 as changed in mine.toml",
        keep_float=("conv1", "conv_dw_1"),
        ranges="percentile",
        bias_correction=False,
        gate=Gate(0.75, base.gate.log_probability, base.gate.quantile),
    )


def test_json_without_a_base_starts_from_float32(tmp_path):
    given = {"name": "rows", "description": "words in int8", "embedding": "int8-rows"}
    recipe = read_recipe(written(tmp_path, json.dumps(given), "other.JSON"))
    assert recipe == recipe_named("float32").changed(**given)
    assert not recipe.calibrated


@pytest.mark.parametrize("name", recipe_names())
def test_what_a_recipe_says_of_itself_is_read_back(tmp_path, name):
    recipe = recipe_named(name)
    assert read_recipe(written(tmp_path, json.dumps(recipe.to_dict()), "a.json")) == recipe


def test_a_file_with_nothing_in_it_is_float32_under_its_own_name(tmp_path):
    recipe = read_recipe(str(written(tmp_path, "", "plain.toml")))
    assert recipe.name == "plain"
    assert recipe.encoder == "float32"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("encodr = 'float16'", "key 'encodr', which is none; choose among base, name, "),
        ("base = 'int3'", "no recipe 'int3'; choose among float32, "),
        ("base = 8", "base 8; give a text"),
        ("name = ''", "name ''; give a text"),
        ("encoder = 'int8'", "treats the encoder by 'int8'; choose among float32"),
        ("step = ['float16']", r"step \['float16'\]; give a text"),
        ("step = 'int8-rows'", "treats the step by 'int8-rows'"),
        ("ranges = 'widest'", "takes ranges by 'widest'; choose among min-max"),
        ("keep_float = 'conv1'", "keep_float 'conv1'; give a list of blocks' names"),
        ("keep_float = [1]", r"keep_float \[1\]; give a list"),
        ("bias_correction = 1", "bias_correction 1; give true or false"),
        ("spare_delicate = 0", "spare_delicate 0; give true or false"),
        ("gate = 0.5", "gate 0.5; give a table of identical, log_probability, quantile"),
        ("gate = {same = 1}", "key 'same' in its gate; choose among identical"),
        ("gate = {identical = 90}", "identical 90 in its gate; give a number from 0 to 1"),
        ("gate = {identical = true}", "identical True in its gate"),
        ("gate = {quantile = 'all'}", "quantile 'all' in its gate"),
        ("gate = {log_probability = -1}", "log_probability -1 in its gate; give .* from 0 on"),
        ("gate = {log_probability = nan}", "log_probability nan in its gate"),
        ("name = 'small'\nencoder = 'float16'", "called 'small', as another recipe is"),
        ("base = ", "is no TOML"),
    ],
    ids=str,
)
def test_bad_recipes_get_one_sentence(tmp_path, text, sentence):
    with pytest.raises(OptionError, match=sentence) as refused:
        read_recipe(written(tmp_path, text))
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no table"),
        ('"static-int8"', "is no table"),
        ("[" * 100_000, "is no JSON"),
        ('{"gate": {"log_probability": NaN}}', "log_probability nan in its gate"),
    ],
    ids=lambda text: text[:20],
)
def test_bad_json_gets_one_sentence(tmp_path, text, sentence):
    with pytest.raises(OptionError, match=sentence) as refused:
        read_recipe(written(tmp_path, text, "mine.json"))
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OptionError, match=r"Unable to read .*gone\.toml.*No such file"):
        read_recipe(tmp_path / "gone.toml")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OptionError, match=r"Unable to read .*folder\.json"):
        read_recipe(tmp_path / "folder.json")
    (tmp_path / "latin.toml").write_bytes(b"name = 'caf\xe9'")
    with pytest.raises(OptionError, match=r"latin\.toml' is no TOML"):
        read_recipe(tmp_path / "latin.toml")
    with pytest.raises(OptionError, match=r"ends in '.yaml'; give a file that ends in .toml or"):
        read_recipe(written(tmp_path, "base: small", "mine.yaml"))
