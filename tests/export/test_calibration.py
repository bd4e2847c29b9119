"""Photographs to calibrate on, and what the graphs are given while they are captioned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgecap_export import Calibration, choose_calibration, recipe_named
from edgecap_export.calibration import FEWEST_IMAGES, take_samples
from edgecap_export.progress import silent
from edgecap_export.step_graph import build_graph
from edgecap_runtime import Captioner
from edgecap_runtime.backends.litert import LiteRTBackend
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation, prepare

from .conftest import photographs, prepared

SMALL = Preparation(6, 5)
PHOTOS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for place, pixels in enumerate(photographs(PHOTOS)):
        Image.fromarray(pixels).save(folder / f"{place:02}.png")
    return folder


def chosen(photos, **options) -> Calibration:
    return choose_calibration(photos, SMALL, silent, **options)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False), st.integers(0, 99), st.integers(FEWEST_IMAGES, 15))
def test_a_seed_chooses_the_same_in_whatever_order_they_come(folder, random, seed, count):
    photos = sorted(folder.iterdir())
    first = chosen(photos, seed=seed, count=count)
    random.shuffle(photos)
    second = chosen([str(photo) for photo in photos], seed=seed, count=count)
    assert first.names == second.names
    assert len(set(first.names)) == count
    np.testing.assert_array_equal(first.pixels, second.pixels)
    for name, pixels in zip(first.names, first.pixels, strict=True):
        np.testing.assert_array_equal(pixels, prepare(folder / name, SMALL))
    assert first.to_dict() == {"images": count, "seed": seed, "names": list(first.names)}


def test_seeds_choose_differently_and_all_are_taken_where_few(folder):
    photos = list(folder.iterdir())
    assert set(chosen(photos, seed=0, count=10).names) != set(
        chosen(photos, seed=1, count=10).names
    )
    assert len(chosen(photos, count=500).names) == PHOTOS


def test_broken_ones_are_left_out_and_named(folder, tmp_path):
    for place in range(5):
        (tmp_path / f"broken{place}.jpg").write_bytes(b"no image")
    photos = [*folder.iterdir(), *tmp_path.iterdir()]
    found = chosen(photos, count=500)
    assert sorted(found.names) == sorted(photo.name for photo in folder.iterdir())
    assert len(found.pixels) == PHOTOS
    assert len(found.left_out) == 5
    assert all(any(f"broken{place}.jpg" in why for why in found.left_out) for place in range(5))
    # Another takes the place of a broken one.
    assert len(chosen(photos, count=PHOTOS).names) == PHOTOS


def test_too_few_are_said_and_so_are_broken_ones(folder, tmp_path):
    photos = sorted(folder.iterdir())[: FEWEST_IMAGES - 1]
    with pytest.raises(OptionError, match=r"There are 9 photographs to calibrate on; give 10 or"):
        chosen(photos)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(OptionError, match=r"9 photographs .*\(1 more can't be read.*broken\.jpg"):
        chosen([*photos, tmp_path / "broken.jpg"])
    with pytest.raises(OptionError, match="on 9 photographs was asked for; take 10 or more"):
        chosen(photos, count=FEWEST_IMAGES - 1)


@pytest.mark.parametrize("kind", ["step", "bidirectional", "padded"])
def test_samples_are_what_the_file_is_given_in_use(request, written, kind, monkeypatch):
    """The same search on the written float file asks for the same words in the same states."""
    source = request.getfixturevalue("source" if kind == "step" else f"{kind}_source")
    pictures = photographs(4, seed=8)
    calibration = Calibration(prepared(pictures), ("a", "b", "c", "d"), 0)
    graph = build_graph(source, recipe_named("float32"))
    samples = take_samples(source, graph, calibration, silent)
    path = written(kind, "float32").path
    given_in_use = []
    stepped = LiteRTBackend.step

    def recorded(self, ids, state):
        given_in_use.append((np.array(ids), {name: np.array(state[name]) for name in graph.state}))
        return stepped(self, ids, state)

    monkeypatch.setattr(LiteRTBackend, "step", recorded)
    with Captioner.load(path, threads=1) as captioner:
        for picture in pictures:
            captioner.caption(picture)
    assert samples.pixels is calibration.pixels
    assert len(samples.visits) == len(given_in_use) > 3 * len(pictures)
    # A beam has several rows.
    assert {len(visit.ids) for visit in samples.visits} > {1}
    for visit, (ids, state) in zip(samples.visits, given_in_use, strict=True):
        np.testing.assert_array_equal(visit.ids, ids)
        assert set(visit.state) == set(state)
        for name, values in state.items():
            np.testing.assert_allclose(visit.state[name], values, atol=2e-4)
