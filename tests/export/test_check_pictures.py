"""What an export puts into a file for it to check itself by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_export import Prover, choose_calibration, export, recipe_named, recipe_names
from edgecap_export.check_pictures import _packable, ask_keras
from edgecap_export.copies import copies_of
from edgecap_export.tolerances import TOLERANCES, tolerance_of
from edgecap_export.treatments import TREATMENTS
from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.check_entry import SIDE, pack_picture
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation, prepare

from .conftest import photographs


@pytest.fixture(scope="module")
def checking_prover(source):
    """Carries four of six photographs."""
    return Prover(source, photographs(3), check_pictures=photographs(6, seed=40))


def assert_same(pixels: np.ndarray, photo: np.ndarray) -> None:
    """The photograph's pixels, but for a low bit that noise has lost so that it fits."""
    wanted = prepare(photo, Preparation(SIDE, SIDE))
    np.testing.assert_array_equal(pixels & 0xFE, wanted & 0xFE)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("recipe", ["float32", "dynamic-int8"])
def test_a_file_carries_the_first_four_and_passes_here(checking_prover, tmp_path, suffix, recipe):
    path = tmp_path / f"captioner{suffix}"
    source = checking_prover.source
    export(source, path, recipe=recipe, prover=checking_prover, gate=False)
    check = read_manifest(path).check
    assert check is not None
    assert [picture.name for picture in check.pictures] == [f"picture {n}" for n in range(4)]
    for picture, photo in zip(check.pictures, photographs(6, seed=40), strict=False):
        assert_same(picture.pixels(), photo)
    assert check.tolerance == tolerance_of(recipe_named(recipe))
    with Captioner.load(path) as captioner:
        result = captioner.check()
    assert (result.passed, [item.same for item in result.pictures]) == (True, [True] * 4)
    package = {".tflite": "ai-edge-litert ", ".onnx": "onnxruntime "}[suffix]
    assert check.machine.interpreter.startswith(package)
    if recipe == "float32":
        for picture in check.pictures:
            assert picture.exported.ids == picture.keras.ids
            keras, here = picture.keras.log_probabilities, picture.exported.at_prefixes
            assert here == pytest.approx(keras, abs=1e-3)


def test_keras_log_probabilities_are_the_training_graphs(source, checking_prover):
    for picture in checking_prover.check_pictures:
        # Brought to 32 pixels from 64 every second one is left.
        features = source.encoder(picture.pixels[None, ::2, ::2].astype("float32"))
        ids, scores = picture.keras.ids, picture.keras.log_probabilities
        tokens = [*ids, 2][: len(scores)]
        logits = np.asarray(source.decoder.prefix_logits(features, np.array([[1, *ids]])))[0]
        rows = logits.astype(np.float64)
        rows -= np.log(np.exp(rows).sum(-1, keepdims=True))
        wanted = [rows[at, token] for at, token in enumerate(tokens)]
        assert scores == pytest.approx(wanted, abs=1e-4)
        allowed = rows.copy()
        allowed[:, [0, 1, 3]] = -np.inf
        assert allowed.argmax(-1)[: len(tokens)].tolist() == tokens


def test_generated_pictures_stand_in(source, prover):
    assert source.check_pictures == ()
    names = [picture.name for picture in prover.check_pictures]
    assert names == [f"generated picture {place}" for place in range(4)]
    assert len({picture.pixels.tobytes() for picture in prover.check_pictures}) == 4


def test_a_source_has_pictures_of_its_own(source, prover, tmp_path):
    of_source = replace(source, check_pictures=tuple(photographs(4, seed=41)))
    names = [
        picture.name for picture in ask_keras(of_source, prover.model, of_source.check_pictures)
    ]
    assert names == [f"picture {place}" for place in range(4)]
    path = tmp_path / "captioner.onnx"
    export(of_source, path, images=photographs(2), gate=False)
    check = read_manifest(path).check
    assert check is not None
    assert_same(check.pictures[3].pixels(), photographs(4, seed=41)[3])


def test_fewer_than_four_are_refused(source, prover):
    with pytest.raises(OptionError, match="There are 3 photographs for a file to check itself by"):
        ask_keras(source, prover.model, photographs(3))


def test_a_prover_has_its_own_pictures(prover, tmp_path):
    with pytest.raises(OptionError, match="without images or check pictures"):
        export(prover.source, tmp_path / "a.tflite", prover=prover, check_pictures=photographs(4))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 255))
def test_pictures_fit_and_lose_no_more_bits_than_they_must(seed, largest):
    random = np.random.default_rng(seed)
    pictures = [random.integers(0, largest, (SIDE, SIDE, 3), np.uint8) for _ in range(4)]

    def size(kept):
        return sum(len(pack_picture(picture)) for picture in kept)

    packed = _packable(pictures)
    assert size(packed) <= 60_000
    cleared = next(
        bits
        for bits in range(9)
        if all(np.array_equal(a, b - b % 2**bits) for a, b in zip(packed, pictures, strict=True))
    )
    if cleared:
        assert size([picture - picture % 2 ** (cleared - 1) for picture in pictures]) > 60_000


def test_every_treatment_has_a_tolerance_and_a_recipe_takes_the_largest():
    assert TOLERANCES.keys() == TREATMENTS.keys()
    for name in recipe_names():
        recipe = recipe_named(name)
        parts = ("encoder", "embedding", "step", "output")
        assert tolerance_of(recipe) == max(TOLERANCES[getattr(recipe, part)] for part in parts)
    own = recipe_named("float32").changed(name="own", encoder="static-int8")
    assert tolerance_of(own) == TOLERANCES["static-int8"]


def test_copies_are_found_by_their_bytes(tmp_path: Path):
    names = ("one.jpg", "copy of one.jpg", "as long.jpg", "longer.jpg")
    for name, content in zip(names, (b"abc", b"abc", b"abd", b"abcd"), strict=True):
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in names] + [tmp_path / "gone.jpg"]
    first, copy = paths[:2]
    assert copies_of([first], paths) == {first, copy}
    assert copies_of([b"abc", bytearray(b"abcd")], paths) == {first, copy, paths[3]}
    assert copies_of([tmp_path / "gone.jpg", np.zeros((2, 2, 3), np.uint8)], paths) == set()


def test_what_a_file_carries_is_not_calibrated_on(tmp_path: Path):
    from PIL import Image

    for place, pixels in enumerate(photographs(14)):
        Image.fromarray(pixels).save(tmp_path / f"{place:02}.png")
    paths = sorted(tmp_path.iterdir())
    carried = [paths[3], paths[5].read_bytes(), "nowhere.png", photographs(1)[0]]
    found = choose_calibration(paths, Preparation(6, 5), carried=carried)
    assert sorted(found.names) == [path.name for path in paths if path not in (paths[3], paths[5])]
    assert found.left_out == ("03.png, 05.png, by which the file checks itself",)
    with pytest.raises(
        OptionError, match=r"9 photographs .*\(5 more are those that the file checks"
    ):
        choose_calibration(paths, Preparation(6, 5), carried=paths[:5])
