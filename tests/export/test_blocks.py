"""An encoder taken apart into blocks, and the blocks found again by names in a file."""

from __future__ import annotations

import math

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap_export.blocks import Block, BlockFinder, check_block_names, encoder_blocks
from edgecap_runtime.errors import OptionError

layers = keras.layers


def built(name: str) -> keras.Model:
    family = ENCODERS[name]
    width = max(0.25, family.widths[0])
    return family.model(EncoderOptions(family.least_size, width), weights=None)


@pytest.fixture(scope="module", params=list(ENCODERS))
def encoder(request) -> keras.Model:
    return built(request.param)


def leaves(model) -> list:
    """All layers, those of models in models too."""
    inner = getattr(model, "layers", None)
    return [model] if inner is None else [leaf for layer in inner for leaf in leaves(layer)]


def kernels(layer) -> int:
    shapes = [weight.shape for weight in getattr(layer, "weights", ())]
    return sum(math.prod(shape) for shape in shapes if len(shape) > 1)


def cuts(network: keras.Model, layer) -> bool:
    """Whether what a layer makes is all that the rest of the network reads."""
    try:
        keras.Model(layer.output, network.output)
    except ValueError:
        return False
    return True


def names(blocks) -> list[str]:
    return [block.name for block in blocks]


def test_every_layer_with_a_kernel_is_in_one_block(encoder):
    blocks = encoder_blocks(encoder)
    placed = [layer for block in blocks for layer in block.layers]
    assert len(placed) == len(set(placed))
    weights = {layer.name: kernels(layer) for layer in leaves(encoder)}
    assert {name for name, count in weights.items() if count} <= set(placed)
    for block in blocks:
        assert block.weights == sum(weights.get(layer, 0) for layer in block.layers) > 0
    assert sum(block.weights for block in blocks) == sum(weights.values())


def test_one_tensor_carries_everything_from_block_to_block_and_none_within(encoder):
    network = next(layer for layer in encoder.layers if hasattr(layer, "layers"))
    made = {operation.name: operation for operation in network.operations}
    blocks = encoder_blocks(encoder)
    for block in blocks[:-1]:
        assert cuts(network, made[block.layers[-1]])
    for block in blocks:
        inside = [made[name] for name in block.layers if name != "scaling"]
        heavy = [place for place, layer in enumerate(inside) if kernels(layer)]
        # After the first kernel and before the last one.
        assert not any(cuts(network, layer) for layer in inside[heavy[0] : heavy[-1]])


@pytest.mark.parametrize("name", list(ENCODERS))
def test_names_are_unique_and_the_same_for_an_encoder_built_again(name):
    first, second = encoder_blocks(built(name)), encoder_blocks(built(name))
    assert names(first) == names(second)
    assert len(set(names(first))) == len(first)
    if name == "inception_v3":
        # Keras numbers these anew, and the layers are not what users name.
        assert first[0].layers != second[0].layers
        assert names(first)[:6] == ["conv2d", *(f"conv2d_{k}" for k in range(1, 5)), "mixed0"]


def convolution(inputs, name=None, **options):
    return layers.Conv2D(4, 3, padding="same", name=name, **options)(inputs)


def test_what_follows_a_kernel_without_one_is_in_its_block():
    pixels = keras.Input((8, 8, 3))
    hidden = layers.Rescaling(1 / 255, name="scale")(pixels)
    hidden = convolution(hidden, "first")
    hidden = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(hidden))
    hidden = convolution(hidden, "second", use_bias=False)
    blocks = encoder_blocks(keras.Model(pixels, layers.GlobalAveragePooling2D(name="pool")(hidden)))
    assert blocks == (
        Block("first", ("scale", "first", "norm", "relu"), 3 * 3 * 3 * 4),
        Block("second", ("second", "pool"), 3 * 3 * 4 * 4),
    )


@pytest.mark.parametrize("meet", ["layer", "operator"])
def test_a_residual_is_one_block_with_the_name_of_where_it_meets(meet):
    pixels = keras.Input((8, 8, 3))
    start = convolution(pixels, "start")
    side = convolution(convolution(start, "left"), "right")
    joined = layers.Add(name="meet")([start, side]) if meet == "layer" else start + side
    blocks = encoder_blocks(keras.Model(pixels, convolution(joined, "last")))
    assert names(blocks) == ["start", "meet" if meet == "layer" else "add", "last"]
    assert blocks[1].layers[:2] == ("left", "right")
    assert blocks[1].weights == 2 * 3 * 3 * 4 * 4


def test_branches_are_one_block_and_nested_models_are_opened():
    pixels = keras.Input((8, 8, 3))
    inner = keras.Input((8, 8, 3))
    branches = [convolution(inner, f"branch{place}") for place in range(3)]
    inside = convolution(layers.Concatenate(name="together")(branches), "after")
    network = keras.Model(inner, inside, name="network")
    blocks = encoder_blocks(
        keras.Model(pixels, layers.Flatten()(convolution(network(pixels), "last")))
    )
    assert names(blocks) == ["together", "after", "last"]
    assert blocks[0].layers == ("branch0", "branch1", "branch2", "together")


def test_a_sequential_model_is_taken_apart():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="a"), layers.Conv2D(2, 3, name="b")]
    )
    assert names(encoder_blocks(model)) == ["a", "b"]


def test_a_model_that_shows_no_graph_is_one_block():
    class Encoder(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.one, self.two = layers.Conv2D(2, 3), layers.Dense(5, use_bias=False)

        def call(self, pixels):
            return self.two(keras.ops.mean(self.one(pixels), axis=(1, 2)))

    encoder = Encoder()
    encoder(keras.ops.zeros((1, 8, 8, 3)))
    assert encoder_blocks(encoder) == (Block("mine", ("mine",), 3 * 3 * 3 * 2 + 2 * 5),)


def test_unknown_block_lists_the_known_ones():
    blocks = (Block("a", ("x",), 1), Block("b", ("y",), 1))
    check_block_names(["b", "a"], blocks)
    with pytest.raises(OptionError, match="no block 'x' to keep in float; its blocks are a, b"):
        check_block_names(["a", "x"], blocks)


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=12),
    st.sampled_from(["", "_1", "_2", "_11"]),
    st.booleans(),
)
def test_results_are_found_under_one_suffix_for_all_layers(sizes, suffix, nested):
    """As TensorFlow names them: "conv2d_1" is another layer's, or conv2d's in a second graph."""
    blocks, count = [], 0
    for size in sizes:
        inside = [f"conv2d_{k}" if k else "conv2d" for k in range(count, count + size)]
        blocks.append(Block(inside[-1], tuple(inside), 1))
        count += size
    network = "net_1/" if nested else ""
    results = {
        layer: f"encode/{network}{layer}{suffix}/Relu;{network}{layer}{suffix}/BiasAdd"
        for block in blocks
        for layer in block.layers
    }
    finder = BlockFinder(blocks, ["encode/image", *results.values(), "encode/state_h"])
    for block in blocks:
        assert all(finder.find(results[layer]) is block for layer in block.layers)
    assert finder.find("encode/image") is None
    assert finder.find("encode/state_h") is None


def test_a_result_of_two_layers_is_found_by_the_first():
    blocks = (Block("a", ("a",), 1), Block("b", ("b",), 1))
    result = "encode/b/Relu;encode/a/Conv2D"
    assert BlockFinder(blocks, [result]).find(result) is blocks[1]
