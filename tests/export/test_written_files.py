"""The written files in plain interpreters, without edgecap, against the Keras layers."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecap_export import flatbuffer, flatbuffer_view

from . import rounded
from .conftest import SIZE, UNITS, WORDS

pytestmark = pytest.mark.processor

ROWS = (1, 3, 5, 1)
RECIPES = ("float32", "dynamic-int8")


def step_case(source, rows: int, recipe: str):
    """Words and a state, what Keras' step makes of them, and how far the recipe may be from it."""
    random = np.random.default_rng(rows)
    ids = random.integers(0, WORDS, rows).astype(np.int32)
    state = {
        name: random.normal(0, 0.5, (rows, UNITS)).astype(np.float32)
        for name in source.decoder.state_spec
    }
    logits, following = source.decoder.step(ids, source.decoder.embedding_table[ids], state)
    expected = {f"next_state_{name}": np.asarray(value) for name, value in following.items()}
    within = rounded.bounds(lambda dice: rounded.step(source.decoder, ids, state, dice), recipe)
    return ids, state, ({"logits": np.asarray(logits), **expected}, within)


def first_state(source, image, recipe: str):
    """Keras' first states, and how far the recipe may be from them."""
    features = np.asarray(source.encoder(image.astype(np.float32), training=False))
    expected = source.decoder.first_state(features)
    within = rounded.bounds(
        lambda dice: rounded.first_state(source.decoder, features, dice), recipe
    )
    return {name: np.asarray(value) for name, value in expected.items()}, within


def assert_near(found, name: str, prefix: str, case) -> None:
    expected, within = (values[name] for values in case)
    off = np.abs(found[f"{prefix}{name}"] - expected)
    assert off.shape == within.shape
    assert (off <= within).all(), (name, (off / within).max())


def test_the_bounds_are_about_what_keras_computes(source, prover):
    """Without roundings the arithmetic is Keras'; with them the bounds are no wide net."""
    for rows in ROWS:
        ids, state, (expected, within) = step_case(source, rows, "dynamic-int8")
        exact = rounded.step(source.decoder, ids, state, rounded.Dice(None))
        for name, value in expected.items():
            np.testing.assert_allclose(exact[name], value, atol=1e-5)
            assert within[name].mean() < 0.05 * np.ptp(value)
    image = prover.pictures.pixels[:4]
    expected, within = first_state(source, image, "dynamic-int8")
    features = np.asarray(source.encoder(image.astype(np.float32), training=False))
    exact = rounded.first_state(source.decoder, features, rounded.Dice(None))
    for name, value in expected.items():
        np.testing.assert_allclose(exact[name], value, atol=1e-5)
        assert within[name].mean() < 0.05 * np.ptp(value)


@pytest.mark.parametrize("recipe", RECIPES)
def test_tflite_signatures_equal_keras(exported, source, prover, recipe):
    interpreter = Interpreter(str(exported[".tflite", recipe].path))
    assert interpreter.get_signature_list() == {
        "encode": {"inputs": ["image"], "outputs": ["state_c", "state_h"]},
        "step": {
            "inputs": ["ids", "state_c", "state_h"],
            "outputs": ["logits", "next_state_c", "next_state_h"],
        },
        "greedy": {
            "inputs": ["state_c", "state_h"],
            "outputs": ["ids", "length", "log_probabilities"],
        },
    }
    image = prover.pictures.pixels[:1]
    found = interpreter.get_signature_runner("encode")(image=image)
    case = first_state(source, image, recipe)
    for name in case[0]:
        assert_near(found, name, "state_", case)
    for rows in ROWS:
        ids, state, case = step_case(source, rows, recipe)
        runner = interpreter.get_signature_runner("step")
        found = runner(ids=ids, **{f"state_{name}": value for name, value in state.items()})
        for name in case[0]:
            assert_near(found, name, "", case)


@pytest.mark.parametrize("recipe", RECIPES)
def test_plain_invoke_of_the_tflite_runs_the_step(exported, source, recipe):
    interpreter = Interpreter(str(exported[".tflite", recipe].path))
    inputs = {item["name"]: item["index"] for item in interpreter.get_input_details()}
    outputs = {item["name"]: item["index"] for item in interpreter.get_output_details()}
    assert set(inputs) == {"step/ids", "step/state_h", "step/state_c"}
    for rows in ROWS:
        ids, state, case = step_case(source, rows, recipe)
        given = {"ids": ids, **{f"state_{name}": value for name, value in state.items()}}
        for name, value in given.items():
            interpreter.resize_tensor_input(inputs[f"step/{name}"], value.shape)
        interpreter.allocate_tensors()
        for name, value in given.items():
            interpreter.set_tensor(inputs[f"step/{name}"], value)
        interpreter.invoke()
        for name in case[0]:
            found = {name: interpreter.get_tensor(outputs[f"step/{name}"])}
            assert_near(found, name, "", case)


@pytest.mark.parametrize("recipe", RECIPES)
def test_onnx_start_and_step_equal_keras(exported, source, prover, recipe):
    session = onnxruntime.InferenceSession(
        exported[".onnx", recipe].path, providers=["CPUExecutionProvider"]
    )
    shapes = {item.name: item.shape for item in session.get_inputs()}
    assert shapes == {
        "start": [],
        "image": ["images", SIZE, SIZE, 3],
        "ids": ["rows"],
        "state_h": ["rows", UNITS],
        "state_c": ["rows", UNITS],
    }
    names = ["logits", "next_state_h", "next_state_c"]
    searched = ["caption_ids", "caption_length", "caption_log_probabilities"]
    assert [item.name for item in session.get_outputs()] == [*names, *searched]

    def run(start, image, ids, state):
        states = {f"state_{name}": value for name, value in state.items()}
        given = {"start": np.array(start), "image": image, "ids": ids, **states}
        return dict(zip(names, session.run(names, given), strict=True))

    for images in (1, 4):
        pixels = prover.pictures.pixels[:images]
        nothing = {name: np.zeros((0, UNITS), np.float32) for name in source.decoder.state_spec}
        found = run(True, pixels, np.zeros(0, np.int32), nothing)
        assert found["logits"].shape == (0, WORDS)
        case = first_state(source, pixels, recipe)
        for name in case[0]:
            assert_near(found, name, "next_state_", case)
    for rows in ROWS:
        ids, state, case = step_case(source, rows, recipe)
        found = run(False, np.zeros((0, SIZE, SIZE, 3), np.uint8), ids, state)
        for name in case[0]:
            assert_near(found, name, "", case)


@pytest.mark.parametrize("recipe", RECIPES)
def test_flatbuffer_is_put_right(exported, recipe):
    data = exported[".tflite", recipe].path.read_bytes()
    schema = flatbuffer.schema
    model = schema.Model.GetRootAs(data, 0)
    for place in range(model.BuffersLength()):
        buffer = model.Buffers(place)
        assert (buffer.Offset(), buffer.Size()) == (0, 0)
        if buffer.DataLength():
            begin = buffer._tab.Vector(buffer._tab.Offset(4))
            assert begin % 16 == 0
    tree = flatbuffer.read(data)
    tensors = [tensor for graph in tree.subgraphs for tensor in graph.tensors]
    assert all(tensor.shapeSignature is None for tensor in tensors)
    names = [tensor.name for tensor in tensors]
    assert len(set(names)) == len(names)
    versions = {
        tree.operatorCodes[operator.opcodeIndex].version
        for graph in tree.subgraphs
        for operator in graph.operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode
        == schema.BuiltinOperator.FULLY_CONNECTED
    }
    # Float operators keep the version that old interpreters run.
    assert versions == ({12} if recipe == "dynamic-int8" else {1})


@pytest.mark.parametrize("recipe", ["float32", "dynamic-int8", "small"])
def test_graphs_share_the_weights_that_both_hold(written, recipe):
    """The LSTM's kernel stands in the first state and in the step, but once in the file."""
    tree = flatbuffer.read(written("step", recipe).path.read_bytes())
    encode, step = (
        flatbuffer_view.view(tree, key).constants.values() for key in ("encode", "step")
    )
    shared = {item.identity for item in encode} & {item.identity for item in step}
    kernels = [item for item in step if item.identity in shared and item.is_matrix]
    assert [sorted(item.shape) for item in kernels] == [[16, 4 * UNITS]]
