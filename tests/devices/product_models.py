"""Small graphs whose integer products are extreme, with what int32 and float64 make of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecap_export.onnx_int4 import Chosen, narrow_products
from edgecap_export.onnx_overflow import rounded_rows
from edgecap_export.onnx_quantization import _dynamic

__all__ = [
    "PAIRED",
    "SIDE",
    "Case",
    "Shape",
    "dynamic_cases",
    "litert_cases",
    "static_cases",
    "write_pairs",
]

SIDE = 6
"""Height and width of what convolutions read."""
UNITS = 8
_LARGEST = 127


@dataclass(frozen=True)
class Shape:
    """A convolution, or a product where there is no kernel."""

    channels: int
    outputs: int
    kernel: int = 0
    groups: int = 1

    @property
    def weights(self) -> tuple[int, ...]:
        """The shape of its weights."""
        if not self.kernel:
            return self.channels, self.outputs
        return self.outputs, self.channels // self.groups, self.kernel, self.kernel

    @property
    def inputs(self) -> int:
        """How many weights make an output."""
        return self.channels // self.groups * max(self.kernel, 1) ** 2

    def shaped(self, rows: np.ndarray) -> np.ndarray:
        """Weights of rows [outputs, inputs] in the order height, width, channels."""
        if not self.kernel:
            return rows.T
        wide = (self.outputs, self.kernel, self.kernel, -1)
        return rows.reshape(wide).transpose(0, 3, 1, 2)

    def sums(self, given: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What plain integers make of it: int64, so nothing overflows."""
        given, weights = given.astype(np.int64), weights.astype(np.int64)
        if not self.kernel:
            return given @ weights
        windows = np.lib.stride_tricks.sliding_window_view(given, (self.kernel,) * 2, (2, 3))
        each, per = self.outputs // self.groups, self.channels // self.groups
        parts = [
            np.einsum(
                "nchwij,ocij->nohw",
                windows[:, group * per : (group + 1) * per],
                weights[group * each : (group + 1) * each],
            )
            for group in range(self.groups)
        ]
        return np.concatenate(parts, axis=1)


SHAPES = {
    "pointwise": Shape(32, 16, 1),
    "pointwise-odd": Shape(5, 16, 1),
    "wide": Shape(8, 16, 3),
    "wide-odd": Shape(3, 16, 3),
    "grouped": Shape(16, 16, 3, 2),
    "depthwise": Shape(16, 16, 3, 16),
    "depthwise-multiplied": Shape(8, 16, 3, 8),
    "product": Shape(33, 16),
}


@dataclass(frozen=True)
class Case:
    """A model's file, what it should say, and how far from that rounding may be."""

    name: str
    expected: np.ndarray
    tolerance: np.ndarray | float


def quantized_graph(
    shape: Shape, weights: np.ndarray, scale: float, *, inside: bool, gemm: bool = False
) -> Any:
    """A convolution or product as QDQ, input scale 1 with 0 as 0; in an `If` as edgecap writes it.

    scale: of the output, whose zero is 128.
    """
    axis = 0 if shape.kernel else 1
    stored = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "w": weights.astype(np.int8),
        "ones": np.ones(shape.outputs, np.float32),
        "zeros": np.zeros(shape.outputs, np.int8),
        "b": np.zeros(shape.outputs, np.int32),
        "b.zeros": np.zeros(shape.outputs, np.int32),
        "out": np.float32(scale),
        "middle": np.uint8(128),
    }
    make = helper.make_node
    if shape.kernel:
        sides = {"kernel_shape": [shape.kernel] * 2, "group": shape.groups}
        product = make("Conv", ["x.f", "w.f", "b.f"], ["c"], **sides)
    elif gemm:
        product = make("Gemm", ["x.f", "w.f", "b.f"], ["c"])
    else:
        product = make("MatMul", ["x.f", "w.f"], ["c"])
    nodes = [
        make("QuantizeLinear", ["x", "one", "zero"], ["x.q"]),
        make("DequantizeLinear", ["x.q", "one", "zero"], ["x.f"]),
        make("DequantizeLinear", ["w", "ones", "zeros"], ["w.f"], axis=axis),
        make("DequantizeLinear", ["b", "ones", "b.zeros"], ["b.f"], axis=0),
        product,
        make("QuantizeLinear", ["c", "out", "middle"], ["c.q"]),
        make("DequantizeLinear", ["c.q", "out", "middle"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(np.asarray(item), name) for name, item in stored.items()]
    sides = [None, shape.channels, SIDE, SIDE] if shape.kernel else [None, shape.channels]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)]
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    if not inside:
        return model_of(nodes, given, answer, tensors)
    then = helper.make_graph(nodes, "then", [], [answer], tensors)
    nothing = helper.make_tensor_value_info("nothing", TensorProto.FLOAT, None)
    other = helper.make_graph([make("Identity", ["x"], ["nothing"])], "else", [], [nothing])
    choice = make("If", ["start"], ["out"], then_branch=then, else_branch=other)
    given.append(helper.make_tensor_value_info("start", TensorProto.BOOL, []))
    return model_of([choice], given, helper.make_tensor_value_info("out", 1, None), [])


def model_of(nodes: list[Any], given: list[Any], answer: Any, tensors: list[Any]) -> Any:
    graph = helper.make_graph(nodes, "products", given, [answer], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save(folder: Path, name: str, model: Any, **inputs: np.ndarray) -> None:
    onnx.save(model, folder / f"{name}.onnx")
    np.savez(folder / f"{name}.npz", **inputs)


def extreme_bytes(random: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Four pictures or rows: all 255, all 0, either of them, and near them."""
    ends = random.choice([0, 255], shape)
    near = np.where(ends > 0, 255 - random.integers(0, 4, shape), random.integers(0, 4, shape))
    return np.stack([np.full(shape, 255), np.zeros(shape, int), ends, near])


def hard_rows(random: np.random.Generator, kind: str, outputs: int, inputs: int) -> np.ndarray:
    """Weights of 8 bits as edgecap rounds them, [outputs, inputs]: what asks for the most."""
    signs = random.choice([-1.0, 1.0], (outputs, 1))
    rows = {
        "one-sign": signs * np.ones((outputs, inputs)),
        "large": signs * random.uniform(0.9, 1, (outputs, inputs)),
        "random": random.normal(size=(outputs, inputs)),
        # One large weight leaves its neighbour next to nothing.
        "spiked": signs * np.where(np.arange(inputs) % 2, 0.01, 1.0) * np.ones((outputs, 1)),
    }[kind]
    integers, _ = rounded_rows(rows, np.abs(rows).max(axis=1) / _LARGEST)
    return integers


def static_cases(folder: Path) -> list[Case]:
    """Write QDQ graphs with weights that edgecap rounded."""
    random, cases = np.random.default_rng(0), []
    for (name, shape), kind in itertools.product(
        SHAPES.items(), ("one-sign", "large", "random", "spiked")
    ):
        weights = shape.shaped(hard_rows(random, kind, shape.outputs, shape.inputs))
        sides = (shape.channels, SIDE, SIDE) if shape.kernel else (shape.channels,)
        given = extreme_bytes(random, sides)
        expected = shape.sums(given, weights)
        scale = float(np.abs(expected).max()) / 127
        for form in ("inside", "outside") if shape.kernel else ("inside", "gemm"):
            inside = form == "inside"
            model = quantized_graph(shape, weights, scale, inside=inside, gemm=form == "gemm")
            start = {"start": np.array(True)} if inside else {}
            title = f"{name}-{kind}-{form}"
            save(folder, title, model, x=given.astype(np.float32), **start)
            # Half a step of the output's, and what float32 does to a tie.
            cases.append(Case(f"{title}.onnx", expected, scale * 0.51))
    return cases


PAIRED = {
    "pointwise": Shape(8, 28, 1),
    "pointwise-odd": Shape(5, 10, 1),
    "wide-odd": Shape(3, 351, 3),
    "wide": Shape(4, 630, 3),
    "grouped": Shape(4, 306, 3, 2),
    "depthwise": Shape(36, 36, 3, 36),
    "depthwise-multiplied": Shape(2, 72, 3, 2),
    "product": Shape(9, 36),
}
"""Each output has one pair of its inputs at 127, those of a group all of them."""


def write_pairs(folder: Path) -> dict[str, tuple[list[tuple[int, int]], int]]:
    """Write graphs with a pair of 127s for each output and 255 everywhere.

    Returns by file the pairs, in the order height, width, channels, and what the sums are.
    """
    found = {}
    for name, shape in PAIRED.items():
        pairs = list(itertools.combinations(range(shape.inputs), 2))
        turns = list(itertools.islice(itertools.cycle(pairs), shape.outputs))
        rows = np.zeros((shape.outputs, shape.inputs), np.int8)
        for output, pair in enumerate(turns):
            rows[output, list(pair)] = _LARGEST
        sides = (1, shape.channels, SIDE, SIDE) if shape.kernel else (1, shape.channels)
        given = np.full(sides, 255, np.float32)
        right = 255 * 2 * _LARGEST
        model = quantized_graph(shape, shape.shaped(rows), right / 127, inside=True)
        save(folder, f"pairs-{name}", model, x=given, start=np.array(True))
        found[f"pairs-{name}.onnx"] = turns, right
    return found


def dynamic_cases(folder: Path) -> list[Case]:
    """Write products whose activations are quantized as they come, as edgecap writes them."""
    random, cases = np.random.default_rng(1), []
    for inputs in (64, 255, 256):
        given = extreme_floats(random, inputs)
        for kind in ("one-sign", "random"):
            weights = random.choice([-1.0, 1.0], (inputs, 16))
            weights[:, :8] = 1.0 if kind == "one-sign" else weights[:, :8]
            expected = given.astype(np.float64) @ weights
            # Each number is off by a step of its own at most.
            tolerance = inputs * (2 / 255 + 2 / 255)
            name = f"dynamic-{inputs}-{kind}"
            save(folder, name, _dynamic(product(weights), ["product"]), x=given)
            cases.append(Case(f"{name}.onnx", expected, tolerance))
            narrow = product(weights)
            narrow_products([Chosen(narrow, ["product"], [{"x": given}])])
            save(folder, f"int4-{inputs}-{kind}", narrow, x=given)
            # Integers of 4 bits are off by half of a seventh.
            held = int4_weights(narrow, inputs)
            exact = given.astype(np.float64) @ held
            step = 1 / 127 * np.abs(held).sum(axis=0)
            cases.append(Case(f"int4-{inputs}-{kind}.onnx", exact, step))
    return [*cases, *lstm_cases(folder, random)]


def extreme_floats(random: np.random.Generator, inputs: int) -> np.ndarray:
    """Rows of which each holds -1 and 1: a step is 2 / 255 of it."""
    ends = random.choice([-1.0, 1.0], (4, inputs))
    ends[0], ends[1] = 1, -1
    ends[0, -1], ends[1, -1] = -1, 1
    return ends.astype(np.float32)


def product(weights: np.ndarray) -> Any:
    return model_of(
        [
            # Its input is watched, as one that is made inside the graph.
            helper.make_node("Identity", ["x"], ["inside"], name="identity"),
            helper.make_node("MatMul", ["inside", "w"], ["y"], name="product"),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(weights)])],
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weights.shape[1]]),
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )


def int4_weights(model: Any, inputs: int) -> np.ndarray:
    """A MatMulNBits' weights, [inputs, outputs], read from its definition."""
    stored = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    node = model.graph.node[-1]
    settings = {item.name: item.i for item in node.attribute}
    packed, scales = (stored[name] for name in node.input[1:3])
    pairs = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.float64) - 8
    blocks = pairs.reshape(settings["N"], -1, settings["block_size"])
    whole = blocks * scales.reshape(settings["N"], -1, 1)
    return whole.reshape(settings["N"], -1)[:, :inputs].T


def lstm_cases(folder: Path, random: np.random.Generator) -> list[Case]:
    """An LSTM over two vectors, whose gates stay where they follow the sums."""
    cases = []
    for inputs in (32, 33):
        given = np.stack([extreme_floats(random, inputs)[:1]] * 2)
        # Each sum is 1 at most.
        kernel = np.ones((1, 4 * UNITS, inputs)) / inputs
        kernel[0, ::3] = random.choice([-1, 1], inputs) / inputs
        recurrent = random.choice([-1.0, 1.0], (1, 4 * UNITS, UNITS)) / UNITS
        node = helper.make_node("LSTM", ["x", "W", "R"], ["y"], name="lstm", hidden_size=UNITS)
        tensors = [
            numpy_helper.from_array(values.astype(np.float32), name)
            for name, values in (("W", kernel), ("R", recurrent))
        ]
        model = model_of(
            [node],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 1, inputs])],
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            tensors,
        )
        quantized = _dynamic(model, ["lstm"])
        assert [node.op_type for node in quantized.graph.node] == ["DynamicQuantizeLSTM"]
        save(folder, f"lstm-{inputs}", quantized, x=given)
        expected = lstm(given[:, 0].astype(np.float64), kernel[0], recurrent[0])
        # Of a sum of at most 1, each factor is off by a step of 255; two sums, two turns, and no
        # function in an LSTM is steeper than 1. Where pairs saturate, half a sum is lost.
        cases.append(Case(f"lstm-{inputs}.onnx", expected[:, None, None], 8 * 2 / 255))
    return cases


def lstm(given: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray) -> np.ndarray:
    """ONNX' definition: gates input, output, forget, cell."""
    hidden = carried = np.zeros(UNITS)
    outputs = []
    for vector in given:
        gates = kernel @ vector + recurrent @ hidden
        into, out, kept = (1 / (1 + np.exp(-part)) for part in np.split(gates, 4)[:3])
        carried = kept * carried + into * np.tanh(gates[3 * UNITS :])
        hidden = out * np.tanh(carried)
        outputs.append(hidden)
    return np.array(outputs)


def litert_cases(folder: Path) -> list[Case]:
    """Write products for LiteRT by the quantizer that edgecap uses."""
    import tensorflow as tf

    random, cases = np.random.default_rng(2), []
    for name in ("pointwise", "pointwise-odd", "wide", "wide-odd", "depthwise"):
        shape = SHAPES[name]
        rows = np.ones((shape.outputs, shape.inputs)) * _LARGEST
        rows[8:] = random.choice([-_LARGEST, _LARGEST], rows[8:].shape)
        given = extreme_bytes(random, (shape.channels, SIDE, SIDE)).transpose(0, 2, 3, 1)
        weights = shape.shaped(rows)
        expected = shape.sums(given.transpose(0, 3, 1, 2), weights).transpose(0, 2, 3, 1)
        depthwise = shape.groups > 1
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        kernel = weights.transpose(order).astype(np.float32)
        function = convolve(tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d, kernel)
        pictures = given.astype(np.float32)
        path = folder / f"static-{name}.tflite"
        path.write_bytes(litert(function, pictures, static=True, bits=8))
        np.savez(path.with_suffix(".npz"), x=pictures)
        # Scales may be rounded to float32, so that a tie goes either way.
        step = (max(expected.max(), 0) - min(expected.min(), 0)) / 255
        cases.append(Case(path.name, expected, 1.01 * step))
    for inputs, bits in itertools.product((64, 255), (8, 4)):
        vectors = extreme_floats(random, inputs)
        weights = random.choice([-1.0, 1.0], (inputs, 16))
        weights[:, :8] = 1
        path = folder / f"dynamic-{bits}-{inputs}.tflite"
        function = multiply(weights.astype(np.float32))
        path.write_bytes(litert(function, vectors, static=False, bits=bits))
        np.savez(path.with_suffix(".npz"), x=vectors)
        # The weights are whole steps; each input is off by a step at most.
        cases.append(Case(path.name, vectors.astype(np.float64) @ weights, inputs * 2 / 255))
    return cases


def convolve(operator: Any, kernel: np.ndarray) -> Any:
    return lambda x: operator(x, kernel, [1] * 4, "VALID")


def multiply(weights: np.ndarray) -> Any:
    return lambda x: x @ weights


def litert(function: Any, given: np.ndarray, *, static: bool, bits: int) -> bytes:
    """A function of one input as a quantized .tflite."""
    import tensorflow as tf
    from litert_quantizer import qtyping
    from litert_quantizer.quantizer import Quantizer
    from litert_quantizer.recipe_manager import RecipeManager

    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec(given.shape, tf.float32)])
    concrete = module.call.get_concrete_function()
    plain = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()
    manager = RecipeManager()
    channels = qtyping.QuantGranularity.CHANNELWISE
    operators = qtyping.TFLOperationName
    if static:
        for operator in (operators.CONV_2D, operators.DEPTHWISE_CONV_2D):
            manager.add_static_config(
                ".*",
                operator,
                activation_num_bits=8,
                weight_num_bits=bits,
                weight_granularity=channels,
            )
    else:
        manager.add_dynamic_config(
            ".*", operators.FULLY_CONNECTED, num_bits=bits, granularity=channels
        )
    quantizer = Quantizer(plain, manager.get_quantization_recipe())
    ranges = None
    if static:
        (name,) = quantizer_inputs(plain)
        ranges = quantizer.calibrate({"serving_default": [{name: given}]})
    return bytes(quantizer.quantize(ranges).quantized_model)


def quantizer_inputs(plain: bytes) -> list[str]:
    """The names of the inputs of a model's only signature."""
    from ai_edge_litert.interpreter import Interpreter

    (signature,) = Interpreter(model_content=plain).get_signature_list().values()
    return list(signature["inputs"])
