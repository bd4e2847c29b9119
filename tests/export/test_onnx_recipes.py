"""The recipes that .onnx can have beside float32 and dynamic-int8, and those it can't."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgecap_export import Recipe, encoder_blocks, export, onnx_view, recipe_named
from edgecap_export.onnx_layers import convolutions
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError

from .conftest import SIZE

pytestmark = pytest.mark.processor

GATE = recipe_named("small").gate
INT8 = {"embedding": "int8", "step": "uint8", "output": "uint8"}
TYPES = {
    "float16": {
        "encoder": "float16 float32",
        **dict.fromkeys(("embedding", "step", "output"), "float16"),
    },
    "static-int8": {"encoder": "int8", **INT8},
    "small": {"encoder": "int8", **dict.fromkeys(("embedding", "step", "output"), "uint8")},
}
# As in test_tflite_recipes: least share of the same captions, most at the 99th percentile.
BOUNDS = {"float16": (0.95, 0.05), "static-int8": (0.4, 2.5), "small": (0.5, 2.5)}


def branch(report, name: str):
    """A branch of a file's `If`."""
    (node,) = (node for node in onnx.load(report.path).graph.node if node.op_type == "If")
    return next(attribute.g for attribute in node.attribute if attribute.g.name == name)


@pytest.mark.parametrize("recipe", TYPES)
def test_a_step_decoder_has_these_recipes(written, recipe):
    report = written("step", recipe, ".onnx")
    found = {part: " ".join(types) for part, types in report.inspection.matrix_types.items()}
    assert found == TYPES[recipe]
    same, most = BOUNDS[recipe]
    assert report.parity.token_exact_greedy >= same
    assert 0 < report.parity.p99 <= most


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [("bidirectional", "float16"), ("bidirectional", "static-int8"), ("padded", "float16")],
)
def test_a_prefix_decoder_has_these_recipes(written, kind, recipe):
    report = written(kind, recipe, ".onnx")
    assert report.parity.token_exact_greedy >= BOUNDS[recipe][0]
    assert report.parity.p99 <= BOUNDS[recipe][1]


@pytest.mark.parametrize(
    ("kind", "recipe", "sentence"),
    [
        ("step", "int16x8", "the encoder as 'static-int16x8'.* nearest .* 'static-int8', in"),
        ("step", "weight-int4", "the encoder as 'static-int4'.* nearest .* 'static-int8', in"),
        ("step", "compat", "the step as 'dynamic-int8-tensor'.* nearest .* 'dynamic-int8', in"),
        ("step", "static-step", "the step as 'static-int8'.* nearest .* 'dynamic-int8', in"),
        ("padded", "small", "the step as 'dynamic-int4'.* nearest .* 'dynamic-int8', in"),
    ],
)
def test_what_the_format_can_not_have_is_refused_with_the_nearest(written, kind, recipe, sentence):
    with pytest.raises(OptionError, match=f"^ONNX can't have {sentence} recipe"):
        written(kind, recipe, ".onnx")


@pytest.mark.parametrize("recipe", ["static-int8", "small"])
def test_the_file_says_how_it_was_made(written, calibration, recipe):
    made = read_manifest(written("step", recipe, ".onnx").path).source["quantization"]
    assert made["recipe"]["name"] == recipe
    assert made["calibration"]["names"] == list(calibration.names)


def kernels(report) -> list[tuple[tuple[int, ...], str]]:
    """Shape and stored type of each convolution's weights, in order."""
    graph = branch(report, "encode")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    sources = {node.output[0]: node for node in graph.node}
    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            name = node.input[1]
            while name not in stored:
                name = sources[name].input[0]
            found.append((stored[name].shape, str(stored[name].dtype)))
    return found


@pytest.mark.parametrize(
    ("treatment", "quantized"), [("static-int8", "int8"), ("float16", "float16")]
)
def test_a_block_kept_in_float_is_the_only_large_one(written, treatment, quantized):
    kept = Recipe(f"kept-{treatment}", "", GATE, encoder=treatment, keep_float=("conv_pw_13",))
    found = kernels(written("step", kept, ".onnx"))
    # In MobileNet, each block has one convolution; float16 leaves those below 10,000 as they are.
    large = [(shape, kind) for shape, kind in found if np.prod(shape) >= 10_000]
    assert len(found) == 27
    assert large[-1] == ((256, 256, 1, 1), "float32")
    assert {kind for _, kind in large[:-1]} == {quantized}


def encoded(report, source, pixels) -> tuple[np.ndarray, np.ndarray]:
    """The file's first states and Keras', for a decoder whose state is linear in the features."""
    session = onnxruntime.InferenceSession(str(report.path))
    width = next(iter(source.decoder.state_spec.values()))
    nothing = {
        "start": np.array(True),
        "ids": np.zeros((0, 1), np.int32),
        "state_image": np.zeros((0, width), np.float32),
    }
    shape = session.get_inputs()[[item.name for item in session.get_inputs()].index("ids")].shape
    if isinstance(shape[1], int):
        nothing["ids"] = np.zeros((0, shape[1]), np.int32)
    found = session.run(["next_state_image"], {"image": pixels, **nothing})[0]
    features = source.encoder(pixels.astype("float32"), training=False)
    return found, np.asarray(source.decoder.first_state(features)["image"])


def branching_encoder(features: int) -> object:
    """An encoder whose convolutions read what others read too, as InceptionV3's branches do."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    pixels = keras.Input((SIZE, SIZE, 3))
    found = layers.Rescaling(1 / 127.5, -1)(pixels)
    found = layers.Conv2D(16, 3, 2, "same", activation="relu")(found)
    for width in (16, features // 4):
        branches = [
            layers.Conv2D(width, kernel, 1, "same", activation="relu")(found)
            for kernel in (1, 3, 5)
        ]
        pooled = layers.AveragePooling2D(3, 1, "same")(found)
        branches.append(layers.Conv2D(width, 1, activation="relu")(pooled))
        found = layers.Concatenate()(branches)
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(found))


def test_no_convolution_stays_float_in_the_interpreter(source, calibration, tmp_path):
    encoder = branching_encoder(int(source.encoder.output_shape[-1]))
    made = dataclasses.replace(source, encoder=encoder)
    recipe = Recipe("branches", "", GATE, encoder="static-int8")
    export(made, tmp_path / "a.onnx", recipe=recipe, calibration=calibration, gate=False)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "a.onnx", options)
    (node,) = (
        node for node in onnx.load(tmp_path / "optimized.onnx").graph.node if node.op_type == "If"
    )
    graph = next(item.g for item in node.attribute if item.g.name == "encode")
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("QLinearConv") == 9
    assert "Conv" not in kinds


def test_biases_take_back_what_rounding_changed(padded_source, calibration, written):
    """Over the pictures calibrated on, the last block in int8 moves the mean of features less."""
    blocks = [block.name for block in encoder_blocks(padded_source.encoder)]
    off = {}
    for corrected in (True, False):
        recipe = Recipe(
            f"last-{corrected}",
            "",
            GATE,
            encoder="static-int8",
            keep_float=tuple(blocks[:-1]),
            bias_correction=corrected,
        )
        report = written("padded", recipe, ".onnx")
        found, expected = encoded(report, padded_source, calibration.pixels)
        off[corrected] = np.linalg.norm((found - expected).mean(axis=0))
    # Rounded activations move it too, which no bias of weights takes back.
    assert off[True] < 0.85 * off[False]


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize(("stride", "pads"), [(1, (1, 1, 1, 1)), (2, (0, 0, 1, 1)), (2, None)])
def test_a_change_of_weights_moves_the_mean_of_outputs_by_its_shift(groups, stride, pads):
    """Brute force: the change as a convolution over the whole image, by ONNX Runtime."""
    random = np.random.default_rng(groups)
    image = random.normal(size=(6, 9, 8)).astype(np.float32)
    change = random.normal(size=(12, 6 // groups, 3, 3)).astype(np.float32)
    padding = {"pads": pads} if pads else {"auto_pad": "SAME_UPPER"}
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["y"], name="c", group=groups, strides=[stride] * 2, **padding
    )
    weights = [("w", change), ("b", np.zeros(12, np.float32))]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, *image.shape])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        initializer=[numpy_helper.from_array(values, name) for name, values in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    moved = session.run(None, {"x": image[None]})[0][0].mean(axis=(1, 2))
    (convolution,) = convolutions(graph)
    # Fewer places than are looked at: all of them are.
    mean = convolution.patches(image, (3, 3), random).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(convolution.shift(change, mean), moved, atol=1e-5)


def test_ranges_are_those_of_the_recipe(written, source, calibration, tmp_path):
    """Percentiles are narrower than the largest value, so the scales of activations differ."""

    def scales(report) -> np.ndarray:
        graph = branch(report, "encode")
        stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        return np.array(
            [
                float(stored[node.input[1]])
                for node in graph.node
                if node.op_type == "QuantizeLinear" and stored[node.input[1]].size == 1
            ]
        )

    widest = scales(written("step", "static-int8", ".onnx"))
    recipe = recipe_named("static-int8").changed(name="percentile", ranges="percentile")
    narrow = scales(
        export(source, tmp_path / "a.onnx", recipe=recipe, calibration=calibration, gate=False)
    )
    assert len(widest) == len(narrow) > 27
    assert (narrow <= widest * 1.001).all()
    assert (narrow < widest * 0.99).any()


def test_a_written_file_has_no_operator_that_is_not_meant(written):
    report = written("step", "small", ".onnx")
    names, forbidden = onnx_view.operators(onnx.load(report.path), "step")
    assert "com.microsoft.MatMulNBits" in names
    assert forbidden == []


def test_products_that_both_graphs_have_are_stored_once_in_4_bits(written):
    """The LSTM's kernel is rounded for the first state and for the step at once."""
    report = written("step", "small", ".onnx")
    model = onnx.load(report.path)
    read = [
        {node.input[1] for node in branch(report, name).node if node.op_type == "MatMulNBits"}
        for name in ("encode", "step")
    ]
    stored = {tensor.name for tensor in model.graph.initializer}
    assert len(read[0] & read[1] & stored) == 1
