"""LSTMs over a sequence, as each format has them, against Keras' own layers."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgecap_export import Direction, ExportError, flatbuffer_view, onnx_view
from edgecap_export.graph_view import Constant, GraphView, Node, step_parts
from edgecap_export.loop import loop
from edgecap_export.onnx_lstm import MARKS, marked, restore_lstms, unsign_lstms
from edgecap_export.quiet import quiet
from edgecap_export.recurrence import HARD_SIGMOIDS, directions_of
from edgecap_export.step_graph import freeze

INPUTS, UNITS = 5, 7
SHAPES = ((2, 6), (1, 1), (3, 4), (1, 9), (2, 6))


@keras.saving.register_keras_serializable("tests")
def keras2_hard_sigmoid(x):
    return keras.ops.clip(0.2 * x + 0.5, 0, 1)


GATES = {
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid",
    "keras2_hard_sigmoid": keras2_hard_sigmoid,
}


def layer_of(gate: str):
    """A bidirectional layer whose gates reach the bends of a hard sigmoid."""
    keras.utils.set_random_seed(5)
    layer = keras.layers.Bidirectional(
        keras.layers.LSTM(UNITS, return_sequences=True, recurrent_activation=GATES[gate]),
        merge_mode=None,
    )
    layer(np.zeros((1, 2, INPUTS), "float32"))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(0, 1.5, item.shape) for item in layer.get_weights()])
    return layer


def sequence_of(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(rows, length, INPUTS)).astype(np.float32)


def traced(recurrence, layer):
    def run(sequence):
        forward, backward = recurrence(sequence, directions_of(layer))
        return {"backward": backward, "forward": forward}

    return tf.function(run, autograph=False)


def test_every_gate_is_tried():
    assert set(GATES) == set(HARD_SIGMOIDS)


@pytest.mark.parametrize("gate", GATES)
def test_loop_equals_keras_in_tensorflow(gate):
    layer = layer_of(gate)
    for rows, length in SHAPES:
        sequence = sequence_of(rows, length)
        for found, expected in zip(
            loop(sequence, directions_of(layer)), layer(sequence), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("gate", GATES)
def test_loop_equals_keras_in_litert(gate, tmp_path):
    layer = layer_of(gate)
    specs = [tf.TensorSpec([None, None, INPUTS], tf.float32, "sequence")]
    module = tf.Module()
    with quiet():
        module.run = freeze(traced(loop, layer), specs)
        tf.saved_model.save(module, str(tmp_path), signatures={"run": module.run})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
    for rows, length in SHAPES:
        sequence = sequence_of(rows, length)
        found = interpreter.get_signature_runner("run")(sequence=sequence)
        forward, backward = layer(sequence)
        np.testing.assert_allclose(found["forward"], forward, atol=1e-5)
        np.testing.assert_allclose(found["backward"], backward, atol=1e-5)


def onnx_of(layer):
    specs = [tf.TensorSpec([None, None, INPUTS], tf.float32, "sequence")]
    with quiet():
        model = tf2onnx.convert.from_function(
            traced(marked, layer), input_signature=specs, opset=17, custom_ops=MARKS
        )[0]
    restore_lstms(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def run_onnx(model, sequence):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, {"sequence": sequence}), strict=True))


@pytest.mark.parametrize("gate", GATES)
def test_lstm_operators_equal_keras(gate):
    layer = layer_of(gate)
    model = onnx_of(layer)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("LSTM") == 2
    # No state, no length, nothing else that the mark had is left.
    assert set(kinds) <= {"LSTM", "Squeeze", "Transpose", "Identity"}
    for rows, length in SHAPES:
        sequence = sequence_of(rows, length)
        found = run_onnx(model, sequence)
        forward, backward = layer(sequence)
        np.testing.assert_allclose(found["forward"], forward, atol=1e-5)
        np.testing.assert_allclose(found["backward"], backward, atol=1e-5)


@pytest.mark.parametrize("gate", GATES)
def test_unsigned_lstms_answer_as_signed_ones(gate, tmp_path):
    layer = layer_of(gate)
    path = tmp_path / "quantized.onnx"
    with quiet():
        quantize_dynamic(
            onnx_of(layer),
            path,
            op_types_to_quantize=["LSTM"],
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
    signed, unsigned = onnx.load(path), onnx.load(path)
    unsign_lstms(unsigned.graph)
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in unsigned.graph.initializer}
    for node in unsigned.graph.node:
        if node.op_type == "DynamicQuantizeLSTM":
            assert {stored[node.input[place]].dtype for place in (1, 2, 9, 11)} == {np.dtype("u1")}
            assert set(stored[node.input[9]].ravel()) == {128}
    sequence = sequence_of(3, 6)
    forward, backward = layer(sequence)
    found, before = run_onnx(unsigned, sequence), run_onnx(signed, sequence)
    for name, expected in (("forward", forward), ("backward", backward)):
        # Where the signed kernel overflows (AVX2 without VNNI) only the unsigned one is right.
        assert np.abs(found[name] - expected).max() < 0.1
        assert np.abs(found[name] - expected).mean() <= np.abs(before[name] - expected).mean() * 1.5


def test_mark_that_was_changed_is_refused():
    node = helper.make_node("BlockLSTMV2", [""] * 9, [""] * 7, name="renamed", domain="edgecap")
    graph = helper.make_graph([node], "g", [], [])
    with pytest.raises(ExportError, match="changed the LSTM 'renamed'"):
        restore_lstms(graph)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"bias": np.zeros(27)}, r"7 units has weights of the shapes .*\[27\].* end in 28"),
        ({"kernel": np.zeros((5, 24))}, r"\[5, 24\]"),
        ({"recurrent_activation": "tanh"}, "'tanh'; choose among sigmoid, hard_sigmoid"),
    ],
    ids=str,
)
def test_parts_that_disagree_are_refused(changes, what):
    parts = {
        "kernel": np.zeros((5, 28)),
        "recurrent_kernel": np.zeros((7, 28)),
        "bias": np.zeros(28),
        "reverse": False,
    }
    assert Direction(**parts).units == 7
    with pytest.raises(ExportError, match=what):
        Direction(**{**parts, **changes})


def test_recurrences_and_what_they_need_are_the_step():
    weights = {
        name: Constant("int8", (4, 4), 16, name) for name in ("table", "in", "loop", "mid", "out")
    }
    nodes = (
        Node("GATHER", ("table", "ids"), ("vectors",)),
        Node("FULLY_CONNECTED", ("vectors", "in"), ("projected",)),
        Node("FULLY_CONNECTED", ("carried", "loop"), ("inner",)),
        Node("WHILE", ("projected", "inner"), ("first",)),
        Node("FULLY_CONNECTED", ("first", "mid"), ("between",)),
        Node("LSTM", ("between",), ("second", "")),
        Node("FULLY_CONNECTED", ("second", "out"), ("logits",)),
    )
    parts = step_parts(GraphView(nodes, weights, {"logits": "logits"}))
    assert parts == ("embedding", "step", "step", "step", "step", "step", "output")


def test_what_a_prefix_graph_is_made_with_is_no_step():
    nodes = [
        helper.make_node(op, ["x"], [f"y{place}"], domain=domain)
        for place, (op, domain) in enumerate(
            [
                ("LSTM", ""),
                ("DynamicQuantizeLSTM", "com.microsoft"),
                ("Gelu", "com.microsoft"),
                ("Loop", ""),
            ]
        )
    ]
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph(nodes, "g", [value], []))
    assert onnx_view.operators(model, "prefix")[1] == ["com.microsoft.Gelu", "Loop"]
    assert onnx_view.operators(model, "step")[1] == [
        "LSTM",
        "com.microsoft.DynamicQuantizeLSTM",
        "com.microsoft.Gelu",
        "Loop",
    ]


def test_loops_are_meant_in_a_prefix_graph_alone(prefix_exported):
    from edgecap_export import flatbuffer

    model = flatbuffer.read(prefix_exported[".tflite", "float32"].path.read_bytes())
    assert flatbuffer_view.operators(model, "prefix")[1] == []
    assert set(flatbuffer_view.operators(model, "step")[1]) == {"WHILE"}
