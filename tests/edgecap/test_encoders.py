"""Encoders: their features are those of keras.applications, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edgecap.box import sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap_export import encoder_blocks
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation, prepare

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
APPLICATIONS = keras.applications

# Keras' own builder and `preprocess_input` of each, and options that make it small.
PEERS: dict[str, tuple[Callable[..., Any], Any, EncoderOptions]] = {
    "mobilenet": (
        APPLICATIONS.MobileNet,
        APPLICATIONS.mobilenet,
        EncoderOptions(size=32, width=0.25),
    ),
    "mobilenet_v2": (
        APPLICATIONS.MobileNetV2,
        APPLICATIONS.mobilenet_v2,
        EncoderOptions(size=32, width=0.35),
    ),
    "mobilenet_v3_small": (
        APPLICATIONS.MobileNetV3Small,
        APPLICATIONS.mobilenet_v3,
        EncoderOptions(size=32, width=0.25),
    ),
    "mobilenet_v3_large": (
        APPLICATIONS.MobileNetV3Large,
        APPLICATIONS.mobilenet_v3,
        EncoderOptions(size=32, width=0.25),
    ),
    "inception_v3": (
        APPLICATIONS.InceptionV3,
        APPLICATIONS.inception_v3,
        EncoderOptions(size=75),
    ),
}


def adapted(network: Any, pixels: np.ndarray) -> None:
    """Set batch norm's statistics to those of the pixels: as born, signals fade to nothing."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(pixels, training=True)


def test_every_encoder_has_its_peer_here() -> None:
    assert set(PEERS) == set(ENCODERS)


@pytest.mark.parametrize("name", PEERS)
def test_features_are_those_of_keras_applications(name: str, tmp_path: Path) -> None:
    build, module, options = PEERS[name]
    keras.utils.set_random_seed(3)
    pixels = np.random.default_rng(3).uniform(0, 255, (16, options.size, options.size, 3))
    pixels = pixels.astype(np.float32)
    width = {} if name == "inception_v3" else {"alpha": options.width}
    # With its own scaling layer, where it has one (MobileNet V3): ours must equal that too.
    peer = build(
        input_shape=pixels.shape[1:], weights=None, include_top=False, pooling="avg", **width
    )
    prepared = module.preprocess_input(pixels.copy())
    adapted(peer, prepared)
    peer.save_weights(tmp_path / "peer.weights.h5")
    expected = np.asarray(peer(prepared, training=False))

    encoder = ENCODERS[name].model(options, tmp_path / "peer.weights.h5")

    features = np.asarray(encoder(pixels, training=False))
    assert encoder.output_shape == (None, expected.shape[1])
    largest = np.abs(expected).max()
    # Keras divides by 127.5 where we multiply; batch norm enlarges that rounding of the last bit.
    np.testing.assert_allclose(features, expected, rtol=0, atol=2e-3 * largest)
    # The comparison can fail: pictures make a difference, and so does scaling them twice.
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * largest
    twice = np.asarray(encoder(pixels / 127.5 - 1, training=False))
    assert np.abs(twice - expected).max() > 0.1 * largest


def last_map(encoder: Any, pixels: np.ndarray) -> np.ndarray:
    """What the encoder's network sees last as a map, [N, h, w, C]."""
    (network,) = [layer for layer in encoder.layers if isinstance(layer, keras.Model)]
    maps = [layer for layer in network.layers if len(layer.output.shape) == 4]
    *_, last = (layer for layer in maps if "Pooling" not in type(layer).__name__)
    return np.asarray(keras.Model(network.input, last.output)(pixels / 127.5 - 1))


@pytest.mark.parametrize("side", [32, 64, 96, 224])  # maps of 1, 2, 3 and 7
def test_poolings_are_means_and_maxima_of_the_last_map(side: int) -> None:
    pixels = np.random.default_rng(side).uniform(0, 255, (3, side, side, 3)).astype(np.float32)

    def features_by(pooling: str) -> tuple[np.ndarray, np.ndarray]:
        keras.utils.set_random_seed(4)
        encoder = ENCODERS["mobilenet"].model(EncoderOptions(side, 0.25, pooling), None)
        features = np.asarray(encoder(pixels))
        assert encoder.output_shape == (None, features.shape[1])
        return features, last_map(encoder, pixels)

    features, seen = features_by("average_and_maximum")
    assert seen.shape[1:3] == (side // 32, side // 32)
    np.testing.assert_allclose(features[:, :256], seen.mean((1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features[:, 256:], seen.max((1, 2)), rtol=1e-4, atol=1e-6)

    features, seen = features_by("quarters")
    half = -(-seen.shape[1] // 2)
    near, far = slice(None, half), slice(-half, None)
    places = [(near, near), (near, far), (far, near), (far, far)]
    places = places if side > 32 else places[:1]
    quarters = [seen[:, down, across].mean((1, 2)) for down, across in places]
    expected = np.concatenate([seen.mean((1, 2)), *quarters], 1)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "weights", "sentence"),
    [
        ("mobilenet", EncoderOptions(size=31), None, "size 31; set encoder.size to 32 or more"),
        ("inception_v3", EncoderOptions(size=64), None, "size 64; set encoder.size to 75 or more"),
        ("inception_v3", EncoderOptions(299, 0.5), None, "width 0.5; set encoder.width to 1, the"),
        ("mobilenet_v2", EncoderOptions(width=3.0), None, "width 3; .* a number from 0.1 to 2$"),
        ("mobilenet_v2", EncoderOptions(width=float("nan")), None, "width nan"),
        ("mobilenet", EncoderOptions(width=0.3), "imagenet", "one of 0.25, 0.5, 0.75, 1,"),
        ("mobilenet_v2", EncoderOptions(width=0.25), "imagenet", "one of 0.35, .* 1.3, 1.4,"),
        ("mobilenet_v3_small", EncoderOptions(width=0.5), "imagenet", "one of 0.75, 1,"),
        ("mobilenet_v3_large", EncoderOptions(width=0.5), "imagenet", "--encoder-weights PATH"),
    ],
)
def test_a_size_or_width_that_it_has_not_is_refused_in_a_sentence(
    name: str, options: EncoderOptions, weights: str | None, sentence: str
) -> None:
    with pytest.raises(OptionError, match=sentence) as refused:
        ENCODERS[name].model(options, weights)
    assert repr(name) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown pooling 'sum'; choose one of: average, "):
        ENCODERS["mobilenet"].model(EncoderOptions(pooling="sum"), None)


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.weights.h5"
    APPLICATIONS.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.5, weights=None, include_top=False, pooling="avg"
    ).save_weights(path)
    with pytest.raises(OptionError, match=r"don't fit 'mobilenet_v2' at width 0\.35"):
        ENCODERS["mobilenet_v2"].model(EncoderOptions(size=32, width=0.35), path)


def test_the_encoder_of_a_run_serves_another_however_it_pools(tiny_run: Path) -> None:
    known = TrainedCaptioner.load(tiny_run)
    options = replace(known.design.encoder_options, pooling="map")
    encoder = ENCODERS["mobilenet"].model(options, tiny_run)
    for mine, theirs in zip(encoder.get_weights(), known.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(OptionError, match=r"don't fit 'mobilenet' at width 0\.5: .* or a run with"):
        ENCODERS["mobilenet"].model(replace(options, width=0.5), tiny_run)


def test_a_folder_that_is_no_run_is_refused_as_weights(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no encoder weights at .*; give 'imagenet'.* or a run"):
        ENCODERS["mobilenet"].model(EncoderOptions(size=32, width=0.25), tmp_path)


@pytest.mark.shared
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs ../shared/weights")
@pytest.mark.parametrize(
    ("name", "options", "file"),
    [
        ("mobilenet", EncoderOptions(width=0.25), "mobilenet_0.25_224"),
        ("mobilenet", EncoderOptions(), "mobilenet_1.0_224"),
        ("mobilenet_v2", EncoderOptions(), "mobilenet_v2_1.0_224"),
        ("inception_v3", EncoderOptions(size=224), "inception_v3"),
        ("inception_v3", EncoderOptions(size=299), "inception_v3"),
    ],
)
def test_trained_weights_know_a_photograph_in_the_mirror(
    name: str, options: EncoderOptions, file: str
) -> None:
    encoder = ENCODERS[name].model(options, WEIGHTS / f"{file}_notop.weights.h5")
    preparation = Preparation(options.size, options.size)
    pixels = np.stack([prepare(path, preparation) for path in sample_photos()[:4]])
    both = np.concatenate([pixels, pixels[:, :, ::-1]]).astype(np.float32)
    features = np.asarray(encoder(both, training=False))
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = features[: len(pixels)] @ features[len(pixels) :].T
    mirrored = alike.diagonal().copy()
    np.fill_diagonal(alike, 0)
    assert mirrored.min() > 0.85 > alike.max()


def test_narrow_mobilenets_have_more_delicate_blocks() -> None:
    mobilenet = ENCODERS["mobilenet"]
    wide = ("conv1", "conv_dw_1")
    for width in (0.5, 0.75, 1.0):
        assert mobilenet.delicate(EncoderOptions(size=32, width=width)) == wide
    narrow = mobilenet.delicate(EncoderOptions(size=32, width=0.25))
    assert narrow == (*wide, "conv_pw_1", "conv_dw_2")
    # All of them are blocks of the network.
    network = mobilenet.build(EncoderOptions(size=32, width=0.25), None)
    assert set(narrow) <= {block.name for block in encoder_blocks(network)}


def test_an_encoder_without_delicate_blocks_has_none_where_it_is_narrow() -> None:
    assert ENCODERS["mobilenet_v2"].delicate(EncoderOptions(size=32, width=0.35)) == ()
