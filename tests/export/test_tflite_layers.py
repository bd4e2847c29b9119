"""What is seen of a .tflite graph while it runs, against the same computed by TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from edgecap_export import flatbuffer
from edgecap_export.quiet import quiet
from edgecap_export.recipes import RANGES
from edgecap_export.tflite_layers import layers_of, observe, tensor_data

SIDE, IMAGES = 11, 6
random = np.random.default_rng(0)
CONVOLUTION = random.normal(size=(3, 2, 3, 4)).astype(np.float32)
DEPTHWISE = random.normal(size=(2, 3, 4, 1)).astype(np.float32)
DILATED = random.normal(size=(2, 2, 4, 4)).astype(np.float32)
DENSE = random.normal(size=(4, 5)).astype(np.float32)
PICTURES = random.normal(1, 2, (IMAGES, SIDE, SIDE, 3)).astype(np.float32)


def network(image):
    """Convolutions of all kinds and a product, and what each is given."""
    first = tf.nn.relu(tf.nn.conv2d(image, CONVOLUTION, 2, "SAME"))
    second = tf.nn.depthwise_conv2d(first, DEPTHWISE, (1, 1, 1, 1), "VALID") + 1
    third = tf.nn.conv2d(second, DILATED, 1, "SAME", dilations=2)
    features = tf.reduce_mean(third, axis=(1, 2))
    return {"first": first, "second": second, "features": features, "out": features @ DENSE}


def patches(images, kernel, stride, padding):
    """All that a convolution reads, [n, places of the kernel * channels]."""
    found = tf.image.extract_patches(
        images, (1, *kernel, 1), (1, stride, stride, 1), (1, 1, 1, 1), padding
    )
    return np.reshape(found, (-1, found.shape[-1]))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("saved"))
    image = tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "image")
    module = tf.Module()
    module.encode = tf.function(network, input_signature=[image])
    with quiet():
        tf.saved_model.save(module, folder, signatures={"encode": module.encode})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["encode"])
        tree = flatbuffer.read(converter.convert())
    flatbuffer.name_apart(tree)
    return tree


def calls():
    return ({"image": picture[None]} for picture in PICTURES)


def test_layers_are_described(model):
    first, second, third, last = layers_of(model, "encode")
    assert [layer.op for layer in (first, second, third, last)] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "FULLY_CONNECTED",
    ]
    assert (first.kernel, first.stride, first.same, first.dilated) == ((3, 2), (2, 2), True, False)
    assert (second.kernel, second.stride, second.same) == ((2, 3), (1, 1), False)
    assert second.depthwise
    assert third.dilated
    assert not any(layer.pointwise for layer in (first, second, third, last))
    assert [layer.weights_count for layer in (first, second, third, last)] == [72, 24, 64, 20]


def test_a_matrix_maps_what_a_layer_is_given_to_its_outputs(model):
    stored = {tensor.name.decode(): tensor for graph in model.subgraphs for tensor in graph.tensors}
    first, second, _, last = layers_of(model, "encode")
    for layer, kernel in ((first, CONVOLUTION.reshape(-1, 4).T), (last, DENSE.T)):
        tensor = stored[layer.weights]
        np.testing.assert_array_equal(layer.matrix(tensor_data(model, tensor)), kernel)
    tensor = stored[second.weights]
    matrix = second.matrix(tensor_data(model, tensor))
    np.testing.assert_array_equal(matrix, DEPTHWISE.reshape(-1, 4).T)
    for layer in (first, second, last):
        weights = tensor_data(model, stored[layer.weights])
        again = layer.stored(layer.matrix(weights), weights.shape, np.float32)
        np.testing.assert_array_equal(again, weights)


def test_moments_are_those_of_what_each_layer_reads(model):
    layers = layers_of(model, "encode")
    seen = observe(model, "encode", calls(), ranges=None, means=layers[1:3], seconds=layers[::3])
    assert seen.ranges == {}
    computed = network(PICTURES)
    first, second, dilated, last = layers
    # No layer has more places than are looked at.
    expected = {
        first.result: patches(PICTURES, (3, 2), 2, "SAME"),
        second.result: patches(computed["first"], (2, 3), 1, "VALID"),
        last.result: np.asarray(computed["features"]),
    }
    assert set(seen.moments) == set(expected)
    assert dilated.result not in seen.moments
    for result, vectors in expected.items():
        moments = seen.moments[result]
        assert moments.count == len(vectors)
        np.testing.assert_allclose(moments.mean, vectors.mean(axis=0), rtol=1e-4, atol=1e-4)
    for layer in (first, last):
        vectors = expected[layer.result].astype(np.float64)
        np.testing.assert_allclose(
            seen.moments[layer.result].second(centred=True),
            np.cov(vectors.T, bias=True),
            rtol=1e-3,
            atol=1e-3,
        )


@pytest.mark.parametrize("method", RANGES)
def test_ranges_are_taken_of_every_activation(model, method):
    seen = observe(model, "encode", calls(), ranges=method)
    assert seen.moments == {}
    computed = network(PICTURES)
    everything = {"image": PICTURES, **{name: np.asarray(of) for name, of in computed.items()}}
    for name, values in everything.items():
        low, high = seen.ranges[f"encode/{name}"]
        flat = values.reshape(IMAGES, -1)
        if method == "min-max":
            assert (low, high) == pytest.approx((flat.min(), flat.max()), rel=1e-5, abs=1e-5)
        else:
            assert flat.min() - 1e-5 <= low < np.median(flat) < high <= flat.max() + 1e-5
