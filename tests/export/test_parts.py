"""Recipes, formats, inspection and the rewriting of graphs, each alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import flatbuffers
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from edgecap_export import (
    ExportError,
    Recipe,
    export,
    flatbuffer,
    flatbuffer_view,
    format_suffixes,
    onnx_view,
    recipe_named,
    recipe_names,
    register_format,
    register_recipe,
    step_graph,
)
from edgecap_export import formats as formats_module
from edgecap_export import recipes as recipes_module
from edgecap_export.graph_view import Constant, GraphView, Node, step_parts
from edgecap_export.inspection import check, inspect_views
from edgecap_export.onnx_zero_state import fold_zero_states
from edgecap_export.quiet import quiet
from edgecap_export.step_graph import pack_int4_rows, quantize_rows
from edgecap_runtime.errors import MissingExtraError, OptionError

from .conftest import EMBEDDING, UNITS

schema = flatbuffer.schema
GATE = recipe_named("float32").gate


def test_edgecap_is_never_imported():
    code = (
        "import sys, importlib, pkgutil, edgecap_export\n"
        "for found in pkgutil.walk_packages(edgecap_export.__path__, 'edgecap_export.'):\n"
        "    importlib.import_module(found.name)\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'edgecap', 'edgecap_bench'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_alone_loads_no_converter():
    code = (
        "import sys, edgecap_export\n"
        "heavy = ('tensorflow', 'keras', 'onnx', 'litert_quantizer')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_recipes_are_registered_by_name(monkeypatch):
    monkeypatch.setattr(recipes_module, "_RECIPES", dict(recipes_module._RECIPES))
    mine = Recipe("mine", "a test's", GATE, embedding="int8-rows")
    assert register_recipe(mine) is mine
    assert recipe_named("mine") is mine
    assert recipe_names()[0] == "float32"
    assert recipe_names()[-1] == "mine"
    with pytest.raises(OptionError, match="'mine' exists already"):
        register_recipe(replace(mine, description="another"))


@pytest.mark.parametrize(("part", "treatment"), [("encoder", "dynamic-int4"), ("step", "int8")])
def test_impossible_treatment_lists_the_possible_ones(part, treatment):
    with pytest.raises(OptionError, match=f"treats the {part} by '{treatment}'; choose .*float32"):
        Recipe("mine", "", GATE, **{part: treatment})


def test_format_whose_converter_is_missing_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(formats_module, "_FORMATS", dict(formats_module._FORMATS))
    register_format(".nope", "no_such_package.writer:Writer")
    assert format_suffixes() == (".tflite", ".onnx", ".nope")
    with pytest.raises(
        MissingExtraError, match=r"no_such_package.*pip install 'edgecap\[export\]'"
    ):
        formats_module.writer_for(tmp_path / "a.nope")


def test_rows_are_quantized_within_half_a_step():
    table = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    table[3] = 0
    table[4] *= 1000
    rows, scales = quantize_rows(table)
    assert (rows.dtype, scales.shape) == (np.int8, (20, 1))
    assert np.all(np.abs(rows * scales - table) <= scales / 2 * 1.001)
    assert not rows[3].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_rows_of_4_bits_come_back_from_two_in_a_byte(seed, words, width):
    random = np.random.default_rng(seed)
    table = random.normal(size=(words, width)).astype(np.float32) * random.uniform(0, 9)
    table[0] = 0
    packed, scales = pack_int4_rows(table)
    assert (packed.dtype, packed.shape) == (np.uint8, (words, (width + 1) // 2))
    assert scales.shape == (words, 1)
    halves = np.concatenate([packed & 15, packed >> 4], axis=1)[:, :width].astype(np.float32)
    whole = halves - 8
    assert np.abs(whole).max() <= 7
    # Half a step, but for what is clipped; 0 is kept.
    clipped = np.abs(whole) == 7
    assert np.all((np.abs(whole * scales - table) <= scales * 0.501) | clipped)
    assert np.all((np.sign(whole) == np.sign(table)) | (whole == 0))
    assert not whole[0].any()
    ids = random.integers(0, words, (2, 3))
    found = np.asarray(step_graph._look_up(table, "int4-rows")(ids))
    np.testing.assert_array_equal(found, (whole * scales)[ids])


class LayerStep:
    """A step made with an LSTM layer where the cell belongs."""

    def __init__(self, decoder) -> None:
        self._decoder = decoder
        self._layer = layers.LSTM(UNITS, return_state=True)
        self._layer(np.zeros((1, 1, EMBEDDING), "float32"))

    def __getattr__(self, name):
        return getattr(self._decoder, name)

    def step(self, ids, vectors, state):
        out, hidden, carried = self._layer(vectors[:, None], initial_state=[state["h"], state["c"]])
        return self._decoder.output(out), {"h": hidden, "c": carried}


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_step_made_of_a_layer_is_refused(source, few, tmp_path, suffix):
    looping = replace(source, decoder=LayerStep(source.decoder))
    with pytest.raises(ExportError, match="Keras cells"):
        export(looping, tmp_path / f"a{suffix}", images=few.pictures.pixels[:1])
    assert list(tmp_path.iterdir()) == []


class WrongShapes(LayerStep):
    """A decoder whose state is not as wide as it says."""

    def __init__(self, decoder) -> None:
        self._decoder = decoder
        self.state_spec = {"h": UNITS, "c": UNITS}

    def step(self, ids, vectors, state):
        logits, following = self._decoder.step(ids, vectors, state)
        return logits, {**following, "c": following["c"][:, :3]}


def test_state_of_another_width_is_refused(source, few, tmp_path):
    wrong = replace(source, decoder=WrongShapes(source.decoder))
    with pytest.raises(ExportError, match=f"'c' is {UNITS} wide but makes one of .*3"):
        export(wrong, tmp_path / "a.onnx", images=few.pictures.pixels[:1])


def matrix(kind: str, identity: str, rows: int = 4) -> Constant:
    return Constant(kind, (rows, 4), rows * 4, identity)


def step_view(types: dict[str, str]) -> GraphView:
    nodes = (
        Node("Gather", ("table", "ids"), ("vectors",)),
        Node("MatMul", ("vectors", "kernel"), ("hidden",)),
        Node("Tanh", ("hidden",), ("next",)),
        Node("MatMul", ("hidden", "projection"), ("logits",)),
    )
    constants = {name: matrix(kind, name) for name, kind in types.items()}
    return GraphView(nodes, constants, {"logits": "logits", "next_state_h": "next"})


def test_parts_follow_from_what_depends_on_what():
    view = step_view({"table": "int8", "kernel": "int8", "projection": "int8"})
    assert step_parts(view) == ("embedding", "step", "step", "output")


@pytest.mark.parametrize("changed", ["table", "kernel", "projection", "encoder"])
def test_file_must_be_what_its_recipe_says(changed):
    types = {"table": "int8", "kernel": "int8", "projection": "int8"}
    encoder = "int8" if changed == "encoder" else "float32"
    if changed in types:
        types[changed] = "float32"
    encode = GraphView((Node("Conv", ("x", "w"), ("y",)),), {"w": matrix(encoder, "w")}, {})
    inspection = inspect_views(encode, step_view(types), ["Conv"], [])
    with pytest.raises(ExportError, match="but the written file holds"):
        check(inspection, recipe_named("dynamic-int8"))


def test_forbidden_operators_are_named():
    view = step_view(dict.fromkeys(("table", "kernel", "projection"), "float32"))
    inspection = inspect_views(view, view, ["Loop", "Add"], ["Loop"])
    assert inspection.ops == ("Add", "Loop")
    with pytest.raises(ExportError, match="holds Loop"):
        check(inspection, recipe_named("float32"))


ZEROS = {
    "Expand": ("Expand", ["zero", "shape"], {}),
    "ConstantOfShape": ("ConstantOfShape", ["shape"], {}),
    "ones": (
        "ConstantOfShape",
        ["shape"],
        {"value": numpy_helper.from_array(np.ones(1, np.float32))},
    ),
}


@pytest.mark.parametrize("made_by", ZEROS)
def test_zero_states_are_folded_without_changing_the_answer(made_by):
    op, inputs, attributes = ZEROS[made_by]
    random = np.random.default_rng(0)
    weights = {
        "zero": np.zeros(1, np.float32),
        "shape": np.array([2, 3], np.int64),
        "kernel": random.normal(size=(3, 5)).astype(np.float32),
        "inputs": random.normal(size=(4, 5)).astype(np.float32),
    }
    nodes = [
        helper.make_node(op, inputs, ["zeros"], **attributes),
        helper.make_node("MatMul", ["zeros", "kernel"], ["recurrent"]),
        helper.make_node("MatMul", ["x", "inputs"], ["straight"]),
        helper.make_node("Add", ["straight", "recurrent"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "first",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 5])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    fold_zero_states(graph)
    folded = made_by != "ones"
    kept = [] if folded else ["MatMul"]
    assert [node.op_type for node in graph.node] == [op, *kept, "MatMul", "Add"]
    assert ("kernel" in [tensor.name for tensor in graph.initializer]) is not folded
    x = random.normal(size=(2, 4)).astype(np.float32)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    found = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})[0]
    recurrent = 0 if folded else weights["kernel"].sum(axis=0)
    np.testing.assert_allclose(found, x @ weights["inputs"] + recurrent, rtol=1e-5)


def test_onnx_operators_of_other_domains_and_loops_are_forbidden():
    nodes = [
        helper.make_node("Add", ["x", "x"], ["y"]),
        helper.make_node("Gelu", ["y"], ["z"], domain="com.microsoft"),
        helper.make_node("LSTM", ["z"], ["l"]),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph(nodes, "g", [value], []))
    found, forbidden = onnx_view.operators(model, "step")
    assert found == ["Add", "com.microsoft.Gelu", "LSTM"]
    assert forbidden == ["com.microsoft.Gelu", "LSTM"]


def tree_with_graphs(count: int):
    """A model of empty graphs, the second with an IF between the third and the first."""
    graphs = [
        schema.SubGraphT(name=f"g{place}".encode(), tensors=[], operators=[], inputs=[], outputs=[])
        for place in range(count)
    ]
    options = schema.IfOptionsT(thenSubgraphIndex=2, elseSubgraphIndex=0)
    graphs[1].operators = [
        schema.OperatorT(
            opcodeIndex=0,
            inputs=[],
            outputs=[],
            builtinOptionsType=schema.BuiltinOptions.IfOptions,
            builtinOptions=options,
        )
    ]
    signatures = [
        schema.SignatureDefT(signatureKey=key, subgraphIndex=place, inputs=[], outputs=[])
        for key, place in ((b"encode", 0), (b"step", 1))
    ]
    code = schema.OperatorCodeT(
        deprecatedBuiltinCode=schema.BuiltinOperator.IF, builtinCode=schema.BuiltinOperator.IF
    )
    return schema.ModelT(
        version=3,
        operatorCodes=[code],
        subgraphs=graphs,
        buffers=[schema.BufferT()],
        signatureDefs=signatures,
    )


def test_putting_a_graph_first_moves_all_that_refers_to_graphs():
    tree = tree_with_graphs(3)
    flatbuffer.put_first(tree, "step")
    again = flatbuffer.read(flatbuffer.write(tree))
    assert [graph.name for graph in again.subgraphs] == [b"g1", b"g0", b"g2"]
    assert {item.signatureKey: item.subgraphIndex for item in again.signatureDefs} == {
        b"encode": 1,
        b"step": 0,
    }
    options = again.subgraphs[0].operators[0].builtinOptions
    assert (options.thenSubgraphIndex, options.elseSubgraphIndex) == (2, 1)
    assert flatbuffer_view.operators(again, "prefix") == (["IF"], ["IF"])


def test_missing_signature_is_said():
    with pytest.raises(ExportError, match="no signature 'prefix'"):
        flatbuffer_view.view(tree_with_graphs(2), "prefix")


def test_data_behind_the_flatbuffer_is_put_inside():
    tree = tree_with_graphs(2)
    tree.buffers.append(schema.BufferT(offset=1, size=1))
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    outside = np.arange(40, dtype=np.uint8)
    # Written twice: the offset is known only once the flatbuffer's own size is.
    tree.buffers[1] = schema.BufferT(offset=len(builder.Output()), size=len(outside))
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    whole = bytes(builder.Output()) + outside.tobytes()
    read = flatbuffer.read(flatbuffer.write(flatbuffer.read(whole)))
    assert read.buffers[1].data.tolist() == outside.tolist()
    assert read.buffers[1].offset == 0


def test_quiet_hides_chatter_but_not_errors(capfd):
    import os

    with quiet():
        os.write(2, b"I0000 00:00:1 1 file.cc:1] hello\nINFO: created\nE0000 real trouble\n")
    assert capfd.readouterr().err == "E0000 real trouble\n"


def test_quiet_shows_everything_once_something_failed(capfd):
    import os

    def fail():
        with quiet():
            os.write(2, b"I0000 00:00:1 1 file.cc:1] what led to it\n")
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    assert "what led to it" in capfd.readouterr().err
