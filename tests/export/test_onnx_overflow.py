"""Weights whose products overflow on no processor: the pairs, by brute force, and real graphs."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edgecap_export import Recipe, recipe_named
from edgecap_export.onnx_overflow import (
    LARGEST_PAIR,
    largest_pairs,
    overflowing,
    prevent_overflow,
    rounded_rows,
)

from .test_onnx_recipes import GATE, branch, encoded

pytestmark = pytest.mark.processor

LARGEST = 127
seeds = st.integers(0, 2**32 - 1)
small = settings(max_examples=60, deadline=None)
kinds = st.sampled_from(["normal", "heavy tails", "all large", "one sign", "zeros"])


def weights_of(random: np.random.Generator, kind: str, outputs: int, inputs: int) -> np.ndarray:
    shape = (outputs, inputs)
    signs = random.choice([-1.0, 1.0], shape)
    made = {
        "normal": random.normal(size=shape),
        "heavy tails": random.standard_t(2, shape),
        "all large": signs * random.uniform(0.95, 1, shape),
        "one sign": np.ones(shape),
        "zeros": signs * random.integers(0, 2, shape),
    }
    return made[kind] * random.uniform(0.01, 10, (outputs, 1))


def finest(rows: np.ndarray) -> np.ndarray:
    """The scales of 8 bits."""
    most = np.abs(rows).max(axis=1)
    return np.where(most > 0, most, LARGEST) / LARGEST


def worst_pair(row: np.ndarray) -> float:
    """What the kernel adds, by a loop: inputs 0 and 1, 2 and 3 ..., where their signs agree."""
    worst = 0.0
    for first in range(0, len(row) - 1, 2):
        one, other = float(row[first]), float(row[first + 1])
        if (one > 0) == (other > 0) and one != 0 and other != 0:
            worst = max(worst, abs(one) + abs(other))
    return worst


@small
@given(seed=seeds, outputs=st.integers(1, 5), inputs=st.integers(1, 12))
def test_largest_pairs_are_those_of_a_loop(seed, outputs, inputs):
    rows = np.random.default_rng(seed).integers(-127, 128, (outputs, inputs))
    assert largest_pairs(rows).tolist() == [worst_pair(row) for row in rows]


def test_the_largest_pair_is_the_most_that_sixteen_bits_hold():
    """255 times a pair's sum, and one more."""
    most = np.iinfo(np.int16).max
    assert 255 * LARGEST_PAIR <= most < 255 * (LARGEST_PAIR + 1)


@small
@given(seed=seeds, kind=kinds, outputs=st.integers(1, 5), inputs=st.integers(1, 40))
def test_no_rounded_pair_overflows(seed, kind, outputs, inputs):
    random = np.random.default_rng(seed)
    rows = weights_of(random, kind, outputs, inputs)
    integers, scales = rounded_rows(rows, finest(rows))
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() <= LARGEST
    assert max(worst_pair(row) for row in integers.astype(int)) <= LARGEST_PAIR
    assert np.all(scales >= finest(rows))
    # Half a step from each weight: nothing is clipped.
    assert np.all(np.abs(integers * scales[:, None] - rows) <= scales[:, None] * (0.5 + 1e-9))


@small
@given(seed=seeds, kind=kinds, outputs=st.integers(1, 5), inputs=st.integers(1, 40))
def test_scales_are_no_coarser_than_needed(seed, kind, outputs, inputs):
    """One that is finer by 1 % would overflow, or is that of 8 bits."""
    random = np.random.default_rng(seed)
    rows = weights_of(random, kind, outputs, inputs)
    _, scales = rounded_rows(rows, finest(rows))
    for row, scale, least in zip(rows, scales, finest(rows), strict=True):
        finer = 0.99 * scale
        if finer > least:
            assert worst_pair(np.rint(row / finer)) > LARGEST_PAIR


def made_up(random: np.random.Generator) -> onnx.ModelProto:
    """Convolutions of one pixel, of 3 by 3, of groups and depthwise, with hard weights."""
    layers = {"point": (8, 6, 1, 1), "wide": (6, 8, 3, 3), "groups": (8, 3, 3, 3)}
    layers["depthwise"] = (8, 1, 1, 1)
    # Two outputs a channel: ONNX Runtime has no kernel of its own for that.
    layers["multiplied"] = (16, 1, 3, 3)
    layers["last"] = (8, 16, 1, 1)
    nodes, stored, last = [], [], "x"
    for name, shape in layers.items():
        size = int(np.prod(shape))
        weights = np.sign(random.normal(size=size)) * random.uniform(0.9, 1, size)
        stored.append((f"{name}.w", weights.reshape(shape) / 20))
        stored.append((f"{name}.b", random.normal(size=shape[0])))
        groups = {"groups": 2, "depthwise": 8, "multiplied": 8}.get(name, 1)
        inputs = [last, f"{name}.w", f"{name}.b"]
        nodes.append(helper.make_node("Conv", inputs, [name], name=name, group=groups))
        last = name
    nodes.append(helper.make_node("Flatten", [last], ["flat"], name="flat"))
    stored.append(("product.w", random.uniform(0.9, 1, (8, 5))))
    nodes.append(helper.make_node("MatMul", ["flat", "product.w"], ["y"], name="product"))
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 6, 7, 7])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in stored],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Pictures(CalibrationDataReader):
    def __init__(self, random: np.random.Generator) -> None:
        pictures = random.uniform(-1, 1, (9, 1, 6, 7, 7)).astype(np.float32)
        self.calls = iter([{"x": picture} for picture in pictures])

    def get_next(self):
        return next(self.calls, None)


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_quantized_graph_is_rounded_anew(tmp_path, per_channel):
    random = np.random.default_rng(4)
    plain, path = made_up(random), tmp_path / "a.onnx"
    # By a file: a model given as such is changed.
    onnx.save(plain, tmp_path / "plain.onnx")
    quantize_static(
        tmp_path / "plain.onnx",
        path,
        Pictures(random),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
    )
    quantized = onnx.load(path)
    assert overflowing(quantized.graph) == [
        "point",
        "wide",
        "groups",
        "multiplied",
        "last",
        "product",
    ]
    prevent_overflow(plain.graph, quantized.graph)
    assert overflowing(quantized.graph) == []
    exact = {item.name: numpy_helper.to_array(item) for item in plain.graph.initializer}
    held = {item.name: numpy_helper.to_array(item) for item in quantized.graph.initializer}
    sources = {node.output[0]: node for node in quantized.graph.node}
    for node in quantized.graph.node:
        if node.op_type not in ("Conv", "MatMul"):
            continue
        # Weights and biases are still those of the float graph, but for half a step.
        for name, short in zip(node.input[1:], ("w", "b"), strict=False):
            source = sources[name]
            integers, steps = (held[item].astype(np.float64) for item in source.input[:2])
            wanted = exact[f"{node.name}.{short}"]
            axis = 1 if node.op_type == "MatMul" else 0
            if steps.size > 1:
                steps = steps.reshape([-1 if side == axis else 1 for side in range(wanted.ndim)])
            # A bias is rounded twice.
            assert np.all(np.abs(integers * steps - wanted) <= steps * 1.01), name
        if node.op_type == "Conv":
            read = sources[node.input[0]].input[1]
            weights, bias = (sources[item].input[1] for item in node.input[1:])
            np.testing.assert_allclose(held[bias], held[read] * held[weights], rtol=1e-6)


VNNI = recipe_named("static-int8").changed(name="vnni", processor="vnni")


@pytest.mark.parametrize("kind", ["step", "padded"])
@pytest.mark.parametrize("recipe", ["static-int8", "vnni"])
def test_a_files_products_overflow_for_vnni_alone(written, kind, recipe):
    chosen = VNNI if recipe == "vnni" else recipe_named(recipe)
    graph = branch(written(kind, chosen, ".onnx"), "encode")
    found = overflowing(graph)
    assert (found != []) == (recipe == "vnni")
    # By a loop over each convolution's weights, in height, width, channels.
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    sources = {node.output[0]: node for node in graph.node}
    looked_at, wrong = 0, []
    for node in graph.node:
        source = sources.get(node.input[1]) if node.op_type == "Conv" else None
        if source is None or source.op_type != "DequantizeLinear":
            continue
        weights = stored[source.input[0]]
        if weights.shape[1] == 1:
            continue
        looked_at += 1
        rows = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1).astype(int)
        if max(worst_pair(row) for row in rows) > LARGEST_PAIR:
            wrong.append(node.name)
    # MobileNet has its first convolution and 13 of one pixel.
    assert looked_at == 14
    assert wrong == found


MIDDLE = "conv_pw_7"


def middle_in_float(name: str, kept: bool) -> Recipe:
    return Recipe(name, "", GATE, encoder="static-int8", keep_float=(MIDDLE,) if kept else ())


def test_a_block_kept_in_float_in_the_middle_runs_in_float(written, tmp_path):
    """Int8 stands before and behind it. ONNX Runtime would give its weights one scale."""
    graph = branch(written("padded", middle_in_float("middle", True), ".onnx"), "encode")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (plain,) = (node for node in graph.node if node.op_type == "Conv" and node.input[1] in stored)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    # All that changes numbers; beyond it is only the layout of weights.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    report = written("padded", middle_in_float("middle", True), ".onnx")
    onnxruntime.InferenceSession(report.path, options)
    (node,) = (
        node for node in onnx.load(tmp_path / "optimized.onnx").graph.node if node.op_type == "If"
    )
    run = next(item.g for item in node.attribute if item.g.name == "encode")
    floats = [node for node in run.node if node.op_type in ("Conv", "FusedConv")]
    assert len(floats) == 1
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in run.initializer}
    np.testing.assert_array_equal(held[floats[0].input[1]], stored[plain.input[1]])
    assert [node.op_type for node in run.node].count("QLinearConv") == 26


def test_a_block_kept_in_float_in_the_middle_brings_the_features_nearer(
    padded_source, calibration, written
):
    off = {}
    for kept in (True, False):
        report = written("padded", middle_in_float(f"middle-{kept}", kept), ".onnx")
        found, expected = encoded(report, padded_source, calibration.pixels)
        off[kept] = np.linalg.norm(found - expected)
    assert off[True] < off[False]
