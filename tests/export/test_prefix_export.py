"""Decoders that read whole prefixes: exports by both formats and recipes, against Keras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecap_export import (
    Prover,
    Recipe,
    export,
    flatbuffer,
    flatbuffer_view,
    recipe_named,
)
from edgecap_export.graph_view import step_parts
from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError

from .conftest import COMBINATIONS, SIZE, photographs
from .prefix_decoders import EMBEDDING, SHAPES, UNITS, WORDS, prefixes

pytestmark = pytest.mark.processor

BOUND = {"float32": 1e-4, "dynamic-int8": 0.5}


@pytest.mark.parametrize(("suffix", "recipe"), COMBINATIONS)
def test_every_format_and_recipe_says_what_keras_says(prefix_exported, suffix, recipe):
    parity = prefix_exported[suffix, recipe].parity
    assert parity.failures == ()
    # Captions that depend on the image: a model that ignores it would prove nothing.
    assert parity.distinct > 5
    if recipe == "float32":
        assert (parity.token_exact_greedy, parity.token_exact_beam) == (1, 1)
        assert parity.largest < 1e-3
    else:
        assert 1e-3 < parity.p99 <= 0.1


@pytest.mark.parametrize("recipe", BOUND)
def test_only_an_open_length_is_noted_as_open(prefix_exported, prefix_source, recipe):
    """LiteRT.js resizes an input to a prefix only where the file says that its length is open."""
    model = flatbuffer.read(prefix_exported[".tflite", recipe].path.read_bytes())
    open_sides = {
        tensor.name.decode(): [int(side) for side in tensor.shapeSignature]
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.shapeSignature is not None
    }
    fixed = prefix_source.decoder.prefix.length is not None
    assert open_sides == ({} if fixed else {"prefix/ids": [1, -1]})


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_runtime_says_the_reference_captions(prefix_exported, prefix_prover, suffix):
    with Captioner.load(prefix_exported[suffix, "float32"].path, threads=1) as captioner:
        for place, photo in enumerate(photographs(10)):
            assert captioner.caption(photo, beam=1).ids == prefix_prover.reference.greedy[place]
            assert captioner.caption(photo).ids == prefix_prover.reference.beam[place]


def test_manifest_tells_the_prefix(prefix_exported, prefix_source):
    for report in prefix_exported.values():
        manifest = read_manifest(report.path)
        assert (manifest.kind, manifest.format_version) == ("prefix", "1.4")
        assert manifest.prefix == prefix_source.decoder.prefix
        assert [(item.name, item.shape) for item in manifest.state] == [("image", (UNITS,))]


@pytest.mark.parametrize(("suffix", "recipe"), COMBINATIONS)
def test_types_of_the_parts(prefix_exported, suffix, recipe):
    types = prefix_exported[suffix, recipe].inspection.matrix_types
    small = "int8" if suffix == ".tflite" else "uint8"
    assert types["encoder"] == ("float32",)
    wanted = (small,) if recipe == "dynamic-int8" else ("float32",)
    assert types["step"] == types["output"] == wanted
    assert types["embedding"] == (("int8",) if recipe == "dynamic-int8" else ("float32",))


@pytest.mark.parametrize("recipe", BOUND)
def test_tflite_loops_hold_the_weights(prefix_exported, prefix_source, recipe):
    loops_of, directions = {"bidirectional": (2, 2), "padded": (1, 1)}[prefix_source.decoder.name]
    report = prefix_exported[".tflite", recipe]
    assert "WHILE" in report.inspection.ops
    tree = flatbuffer.read(report.path.read_bytes())
    loops = [graph for graph in tree.subgraphs if graph.name.endswith(b"body")]
    assert len(loops) == loops_of
    for graph in loops:
        products = [
            graph.tensors[operator.inputs[1]]
            for operator in graph.operators
            if flatbuffer_view.operator_name(tree, operator) == "FULLY_CONNECTED"
        ]
        for weights in products:
            kind = flatbuffer_view.TYPES[weights.type]
            assert kind == ("int8" if recipe == "dynamic-int8" else "float32")
            assert tree.buffers[weights.buffer].data is not None
        # Both directions run in one loop.
        assert len(products) == directions
    names = [tensor.name for graph in tree.subgraphs for tensor in graph.tensors]
    assert len(set(names)) == len(names)


def test_weights_in_loops_are_seen(prefix_exported, prefix_source):
    tree = flatbuffer.read(prefix_exported[".tflite", "float32"].path.read_bytes())
    view = flatbuffer_view.view(tree, "prefix")
    parts = step_parts(view)
    matrices = {
        (part, view.constants[node.inputs[1]].shape)
        for node, part in zip(view.nodes, parts, strict=True)
        if node.op == "FULLY_CONNECTED"
    }
    half = UNITS // 2
    assert (
        matrices
        == {
            "bidirectional": {
                # Both directions' inputs in one product, each direction's outputs in its own.
                ("step", (8 * half, EMBEDDING)),
                ("step", (8 * half, 2 * half)),
                ("step", (4 * half, half)),
                ("output", (WORDS, 2 * half)),
            },
            "padded": {
                ("step", (4 * UNITS, EMBEDDING)),
                ("step", (4 * UNITS, UNITS)),
                ("output", (WORDS, UNITS)),
            },
        }[prefix_source.decoder.name]
    )


@pytest.mark.parametrize("recipe", BOUND)
def test_onnx_lstms_hold_the_weights(prefix_exported, prefix_source, recipe):
    model = onnx.load(prefix_exported[".onnx", recipe].path)
    (choice,) = model.graph.node
    branch = next(item.g for item in choice.attribute if item.name == "else_branch")
    assert branch.name == "prefix"
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in branch.initializer}
    op = "DynamicQuantizeLSTM" if recipe == "dynamic-int8" else "LSTM"
    lstms = [node for node in branch.node if "LSTM" in node.op_type]
    assert {node.op_type for node in lstms} == {op}
    assert len(lstms) == (4 if prefix_source.decoder.name == "bidirectional" else 1)
    wanted = np.uint8 if recipe == "dynamic-int8" else np.float32
    for node in lstms:
        assert [stored[name].dtype for name in node.input[1:3]] == [wanted, wanted]
    # Nothing is left of what was traced.
    assert "BlockLSTMV2" not in {node.op_type for node in branch.node}
    read = {name for node in branch.node for name in node.input}
    assert set(stored) <= read


@pytest.mark.parametrize("recipe", BOUND)
def test_plain_invoke_of_the_tflite_runs_prefixes_of_any_shape(
    prefix_exported, prefix_source, recipe
):
    interpreter = Interpreter(str(prefix_exported[".tflite", recipe].path))
    assert interpreter.get_signature_list() == {
        "encode": {"inputs": ["image"], "outputs": ["state_image"]},
        "prefix": {"inputs": ["ids", "state_image"], "outputs": ["logits"]},
    }
    inputs = {item["name"]: item["index"] for item in interpreter.get_input_details()}
    (output,) = (item["index"] for item in interpreter.get_output_details())
    for rows, length in SHAPES:
        ids, state, expected = prefixes(prefix_source, rows, length)
        interpreter.resize_tensor_input(inputs["prefix/ids"], ids.shape)
        interpreter.resize_tensor_input(inputs["prefix/state_image"], state.shape)
        interpreter.allocate_tensors()
        # Twice: the second call finds what the first one left in the loop's tensors.
        for _ in range(2):
            interpreter.set_tensor(inputs["prefix/ids"], ids)
            interpreter.set_tensor(inputs["prefix/state_image"], state)
            interpreter.invoke()
            found = interpreter.get_tensor(output)
            np.testing.assert_allclose(found, expected, atol=BOUND[recipe])


@pytest.mark.parametrize("recipe", BOUND)
def test_onnx_runs_prefixes_of_any_shape(prefix_exported, prefix_source, recipe):
    session = onnxruntime.InferenceSession(
        prefix_exported[".onnx", recipe].path, providers=["CPUExecutionProvider"]
    )
    length = prefix_source.decoder.prefix.length
    assert {item.name: item.shape for item in session.get_inputs()} == {
        "start": [],
        "image": ["images", SIZE, SIZE, 3],
        "ids": ["rows", length or "words"],
        "state_image": ["rows", UNITS],
    }
    nothing = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    for rows, words in SHAPES:
        ids, state, expected = prefixes(prefix_source, rows, words)
        given = {"start": np.array(False), "image": nothing, "ids": ids, "state_image": state}
        logits, following = session.run(["logits", "next_state_image"], given)
        np.testing.assert_allclose(logits, expected, atol=BOUND[recipe])
        np.testing.assert_array_equal(following, state)


def test_recipe_of_ones_own_leaves_the_recurrence_alone(bidirectional_source, tmp_path):
    gate = recipe_named("dynamic-int8").gate
    recipe = Recipe("output-only", "only the output layer", gate, output="dynamic-int8")
    prover = Prover(bidirectional_source, photographs(3))
    for suffix in (".tflite", ".onnx"):
        report = export(
            bidirectional_source,
            tmp_path / f"a{suffix}",
            recipe=recipe,
            prover=prover,
            gate=False,
        )
        types = report.inspection.matrix_types
        assert types["step"] == ("float32",)
        assert types["output"] in {("int8",), ("uint8",)}


def test_captions_longer_than_a_fixed_prefix_are_refused(padded_source, bidirectional_source):
    options = padded_source.defaults
    most = padded_source.decoder.prefix.length
    replace(padded_source, defaults=options.changed(max_words=most))
    with pytest.raises(OptionError, match=f"max_words is {most + 1}, .*at most {most}"):
        replace(padded_source, defaults=options.changed(max_words=most + 1))
    replace(bidirectional_source, defaults=options.changed(max_words=1000))


def test_captions_as_long_as_a_fixed_prefix_are_proven(padded_source, tmp_path):
    most = padded_source.decoder.prefix.length
    options = padded_source.defaults.changed(beam=1, max_words=most, min_words=most)
    whole = replace(padded_source, defaults=options)
    report = export(whole, tmp_path / "a.tflite", images=photographs(3))
    with Captioner.load(report.path) as captioner:
        assert len(captioner.caption(photographs(1)[0]).words) == most


def test_unknown_kind_lists_the_known_ones(padded_source, monkeypatch):
    monkeypatch.setattr(type(padded_source.decoder), "kind", "paragraph")
    with pytest.raises(OptionError, match="'paragraph'; choose among step, prefix"):
        replace(padded_source, name="other")


def test_a_step_has_no_prefix(source):
    assert source.prefix is None
