"""Files that hold the greedy search: the runtime captions by it, word for word as by steps."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_export import ParityError, export, parity
from edgecap_runtime import Captioner
from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest, write_bundle
from edgecap_runtime.cli import main
from edgecap_runtime.decoding import decode, read_words
from edgecap_runtime.errors import BundleError, OptionError
from edgecap_runtime.manifest import SearchInside

from .conftest import MAX_WORDS, UNITS, photographs
from .prefix_decoders import Bidirectional

pytestmark = pytest.mark.processor

SUFFIXES = (".tflite", ".onnx")
RECIPES = ("float32", "dynamic-int8", "static-int8")
KEPT = {
    "step": SearchInside(MAX_WORDS),
    "limited": SearchInside(max_words=6, min_words=3, no_repeat_ngram=2),
}


@pytest.fixture(scope="module")
def opened(written):
    """Gives a file's backend, which stays open for all tests."""
    backends = {}

    def open_once(kind, recipe, suffix):
        key = (kind, recipe, suffix)
        if key not in backends:
            path = written(*key).path
            manifest = read_manifest(path)
            backends[key] = open_backend(path, manifest, 1), manifest
        return backends[key]

    return open_once


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", KEPT)
def test_from_any_state_it_says_what_steps_say(opened, kind, recipe, suffix):
    backend, manifest = opened(kind, recipe, suffix)
    assert manifest.greedy == KEPT[kind]
    options = manifest.greedy.options(length_penalty=0.5)
    lengths = set()

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 1.0, 4.0]))
    def holds(seed, scale):
        random = np.random.default_rng(seed)
        state = {name: random.normal(0, scale, (1, UNITS)).astype(np.float32) for name in "hc"}
        expected = decode(backend.step, state, manifest.vocabulary, options)[0]
        found = read_words(backend.greedy(state), options)
        assert (found.ids, found.ended) == (expected.ids, expected.ended)
        assert found.log_probability == pytest.approx(expected.log_probability, abs=1e-4)
        assert found.score == pytest.approx(expected.score, abs=1e-4)
        lengths.add(len(found.ids))

    holds()
    assert len(lengths) > 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_captioner_says_the_same_with_it_and_without(written, recipe, suffix):
    files = [written("step", recipe, suffix, search=search).path for search in (False, True)]
    photos = photographs(10, seed=8)
    plain, searching = (Captioner.load(path, threads=1) for path in files)
    with plain, searching:
        for photo in photos:
            for options in ({"beam": 1}, {"beam": 1, "min_words": 4}, {"beam": 3}):
                want, found = (item.caption(photo, **options) for item in (plain, searching))
                assert found.ids == want.ids
                assert found.timings.steps == want.timings.steps
                assert found.log_probability == pytest.approx(want.log_probability, abs=1e-4)
            assert tuple(searching.stream(photo)) == searching.caption(photo, beam=1).words


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_threads_share_one_captioner_by_both_ways(written, suffix):
    photos = photographs(12, seed=4)
    path = written("step", "static-int8", suffix).path
    with Captioner.load(path, threads=2) as captioner:

        def say(place):
            caption = captioner.caption(photos[place % 12], beam=1 + place % 2)
            return caption.ids, caption.log_probability

        expected = [say(place) for place in range(24)]
        with ThreadPoolExecutor(4) as pool:
            for (ids, score), (want, want_score) in zip(
                pool.map(say, [*range(24)] * 5), expected * 5, strict=True
            ):
                assert ids == want
                assert score == pytest.approx(want_score, abs=1e-6)
        batch = captioner.caption_batch(photos, beam=1)
        assert [item.ids for item in batch] == [
            captioner.caption(photo, beam=1).ids for photo in photos
        ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_leaves_other_rows_to_the_steps(opened, suffix):
    """Steps of several rows before and after: each resizes, or is another branch's."""
    backend, manifest = opened("step", "float32", suffix)
    random = np.random.default_rng(2)
    one, three = (
        {name: random.normal(0, 1, (rows, UNITS)).astype(np.float32) for name in "hc"}
        for rows in (1, 3)
    )
    ids = np.array([4, 5, 6], np.int32)
    before, words = backend.step(ids, three)[0], backend.greedy(one)
    after, again = backend.step(ids, three)[0], backend.greedy(one)
    np.testing.assert_array_equal(before, after)
    for value, expected in zip(again, words, strict=True):
        np.testing.assert_array_equal(value, expected)
    pixels = np.zeros((manifest.preparation.height, manifest.preparation.width, 3), np.uint8)
    first = backend.encode(pixels)
    backend.greedy(one)
    np.testing.assert_array_equal(backend.encode(pixels)["h"], first["h"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_version_1_2_captions_by_steps(written, tmp_path, suffix):
    """Its one call gives no probabilities, and nothing goes from a state on."""
    path = written("step", "float32", suffix, one_call=True).path
    old = replace(read_manifest(path), format_version="1.2", greedy=None)
    write_bundle(path, old, tmp_path / f"old{suffix}")
    with Captioner.load(tmp_path / f"old{suffix}", threads=1) as before:
        assert before.manifest.one_call == KEPT["step"]
        with Captioner.load(path, threads=1) as now:
            for photo in photographs(5):
                want, found = (item.caption(photo, beam=1) for item in (before, now))
                assert found.ids == want.ids
                assert found.log_probability == pytest.approx(want.log_probability, abs=1e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_what_it_claims_is_refused(written, tmp_path, suffix):
    path = written("step", "float32", suffix, search=False).path
    lying = replace(read_manifest(path), greedy=SearchInside(MAX_WORDS))
    write_bundle(path, lying, tmp_path / f"a{suffix}")
    missing = {".tflite": "no signature 'greedy'", ".onnx": "no tensor 'caption_ids'"}
    with pytest.raises(BundleError, match=f"{missing[suffix]}.*export the captioner again"):
        Captioner.load(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_row_of_another_length_than_it_claims_is_refused(written, tmp_path, suffix):
    path = written("step", "float32", suffix).path
    lying = replace(read_manifest(path), greedy=SearchInside(MAX_WORDS + 1))
    write_bundle(path, lying, tmp_path / f"a{suffix}")
    with pytest.raises(BundleError, match=rf"int32.* \[1, {MAX_WORDS}\], but .*{MAX_WORDS + 1}\]"):
        Captioner.load(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_says_so(written, capsys, suffix):
    for search, said in (
        (True, "search inside:\n  search: greedy\n"),
        (False, "search inside: no"),
    ):
        path = written("step", "float32", suffix, search=search).path
        assert main(["show", str(path)]) == 0
        shown = capsys.readouterr().out
        assert said in shown
        line = "same captions by the search inside as word by word: 100.0%"
        assert (line in shown) == search
        assert read_manifest(path).parity["search_exact"] == (1 if search else None)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_one_there_is_no_loop(written, suffix):
    ops = set(written("step", "float32", suffix, search=False).inspection.ops)
    assert not ops & {"WHILE", "Loop"}
    assert set(written("step", "float32", suffix).inspection.ops) & {"WHILE", "Loop"}


def test_the_signatures_of_a_tflite(written):
    path = str(written("step", "float32").path)
    signatures = Interpreter(path).get_signature_list()
    assert list(signatures) == ["encode", "step", "greedy"]
    assert signatures["greedy"] == {
        "inputs": ["state_c", "state_h"],
        "outputs": ["ids", "length", "log_probabilities"],
    }


def test_an_onnx_goes_on_from_states_alike(written):
    """A start that is given no word gives back what it is given before its images' states."""
    session = onnxruntime.InferenceSession(written("step", "float32", ".onnx").path)
    state = np.arange(2 * UNITS, dtype=np.float32).reshape(2, UNITS)
    given_states = {
        "start": np.array(True),
        "image": np.zeros((0, 32, 32, 3), np.uint8),
        "ids": np.zeros(0, np.int32),
        "state_h": state,
        "state_c": -state,
    }
    names = ["next_state_h", "next_state_c", "caption_length"]
    hidden, carried, length = session.run(names, given_states)
    np.testing.assert_array_equal(hidden, state)
    np.testing.assert_array_equal(carried, -state)
    assert length == [0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_prefix_decoder_goes_without(source, tmp_path, suffix):
    bidirectional = replace(source, decoder=Bidirectional())
    report = export(bidirectional, tmp_path / f"a{suffix}", images=photographs(3), gate=False)
    assert read_manifest(report.path).greedy is None
    assert report.parity.search_exact is None
    with pytest.raises(OptionError, match="search inside the file is for decoders that carry"):
        export(bidirectional, tmp_path / f"b{suffix}", search=True)


def test_options_that_contradict_each_other(source, tmp_path):
    with pytest.raises(OptionError, match="which is to be left out"):
        export(source, tmp_path / "a.tflite", search=False, one_call=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", ["a word", "a probability"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_search_that_says_something_else_is_refused(
    source, few, tmp_path, monkeypatch, suffix, wrong
):
    opened = parity.open_backend

    def lying(path, manifest):
        backend = opened(path, manifest)

        def greedy(state):
            ids, length, scores = (np.copy(part) for part in backend.greedy(state))
            if length == 4:
                ids[0] += wrong == "a word"
                scores[0] -= 0.01 * (wrong == "a probability")
            return ids, int(length), scores

        return SimpleNamespace(
            encode=backend.encode, step=backend.step, greedy=greedy, close=backend.close
        )

    monkeypatch.setattr(parity, "open_backend", lying)
    sentence = r"\d of 12 captions by the search inside the file .* leave the search out"
    with pytest.raises(ParityError, match=sentence) as raised:
        export(source, tmp_path / f"a{suffix}", prover=few)
    assert os.listdir(tmp_path) == []
    assert 0 < raised.value.parity.search_exact < 1
    assert json.loads(json.dumps(raised.value.parity.to_dict()))["search_exact"] < 1
