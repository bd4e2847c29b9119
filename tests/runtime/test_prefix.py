"""Prefix graphs driven word by word: the wrapper over fakes, then both interpreters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PREFIXES, WIDTH, WORDS, TinyModel, tiny_manifest

from edgecap_runtime import BundleError, Captioner, OptionError
from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import DecodingOptions, decode, decode_together, greedy_words
from edgecap_runtime.prefix import WORDS as SO_FAR
from edgecap_runtime.prefix import Prefix, PrefixBackend
from edgecap_runtime.vocabulary import Vocabulary

START, END, MASKED = 1, 2, 0
VOCABULARY = Vocabulary(("<mask>", "<start>", "<end>", "a", "b", "c"), START, END, MASKED)
BARE = Prefix(length=None, padding_id=MASKED, padded="end", skipped_id=MASKED)


def predicted(image: float, words: tuple[int, ...]) -> np.ndarray:
    """Logits that any change of any word changes."""
    seed = [int(image * 1000), *words]
    return np.random.default_rng(seed).normal(0, 2, len(VOCABULARY)).astype(np.float32)


class PrefixGraph:
    """A graph that predicts from all ids it is given; keeps what it was given."""

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.seen: list[np.ndarray] = []

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": np.array([[float(image.mean())]], np.float32)}

    def words(self, ids: np.ndarray) -> tuple[int, ...]:
        """Take the padding off again."""
        found = ids.tolist()
        if self.prefix.length is not None:
            at = {"end": -1, "start": 0}[self.prefix.padded]
            while found and found[at] == self.prefix.padding_id:
                found.pop(at)
        return tuple(found)

    def step(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        assert set(state) == {"image"}
        assert ids.dtype == np.int32
        assert ids.shape == (len(state["image"]), self.prefix.length or ids.shape[1])
        self.seen.append(ids)
        rows = zip(state["image"][:, 0], ids, strict=True)
        return np.array([predicted(image, self.words(row)) for image, row in rows]), state

    def close(self) -> None:
        self.seen.clear()


class CarryingStep:
    """The same predictions from a state that carries the words itself, masked ones left out."""

    def __init__(self, masked: int | None, most: int = 16) -> None:
        self.masked, self.most = masked, most

    def first(self, image: float) -> dict[str, np.ndarray]:
        state = np.full((1, self.most + 1), -1, np.float32)
        state[0, 0] = image
        return {"memory": state}

    def __call__(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        memory = state["memory"].copy()
        logits = []
        for row, word in zip(memory, ids, strict=True):
            if word != self.masked:
                row[1 + int((row[1:] >= 0).sum())] = word
            logits.append(predicted(row[0], tuple(int(item) for item in row[1:] if item >= 0)))
        return np.array(logits), {"memory": memory}


PADDED = [Prefix(9, 5, side, None) for side in ("end", "start")]
SKIPPED_AND_PADDED = [Prefix(9, 5, side, MASKED) for side in ("end", "start")]


def pairs(prefix: Prefix, image: float) -> tuple[PrefixBackend, Any, CarryingStep, Any]:
    backend = PrefixBackend(PrefixGraph(prefix), prefix)
    step = CarryingStep(prefix.skipped_id)
    return backend, backend.encode(np.full((1, 1, 3), image)), step, step.first(image)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([BARE, *PADDED, *SKIPPED_AND_PADDED]),
    st.floats(0, 200, width=16),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 3),
)
def test_a_search_finds_what_it_finds_with_a_carried_state(
    prefix: Prefix, image: float, beam: int, most: int, least: int
) -> None:
    # No word equals the padding, which the fake takes off again: id 5 is never said.
    vocabulary = Vocabulary(VOCABULARY.words, START, END, never_said=(5,))
    options = DecodingOptions(
        beam=beam, max_words=most, min_words=min(least, most), n_best=min(beam, 3)
    )
    backend, state, step, first = pairs(prefix, image)
    found = decode(backend.step, state, vocabulary, options)
    assert found == decode(step, first, vocabulary, options)


@pytest.mark.parametrize("prefix", [BARE, *PADDED, *SKIPPED_AND_PADDED], ids=repr)
def test_images_together_and_a_stream_say_the_same(prefix: Prefix) -> None:
    vocabulary = Vocabulary(VOCABULARY.words, START, END, never_said=(5,))
    options = DecodingOptions(beam=3, max_words=7, min_words=3, n_best=2)
    backend = PrefixBackend(PrefixGraph(prefix), prefix)
    firsts = [backend.encode(np.full((1, 1, 3), image)) for image in range(5)]
    alone = [decode(backend.step, first, vocabulary, options) for first in firsts]
    assert len({found[0].ids for found in alone}) > 1
    joined = {name: np.concatenate([first[name] for first in firsts]) for name in firsts[0]}
    assert decode_together(backend.step, joined, vocabulary, options) == alone
    greedy = options.changed(beam=1)
    (best,) = decode(backend.step, firsts[0], vocabulary, greedy)
    said = tuple(greedy_words(backend.step, firsts[0], vocabulary, greedy))
    assert said == vocabulary.words_of(best.ids)


def test_rows_run_by_the_length_that_skipping_leaves() -> None:
    graph = PrefixGraph(BARE)
    backend = PrefixBackend(graph, BARE)
    words = np.array([[1, 0, 3], [1, 4, 3], [1, 0, 0], [1, 5, 4], [1, 3, 0]], np.int32)
    image = np.arange(5, dtype=np.float32)[:, None]
    ids = np.array([0, 5, 4, 0, 3], np.int32)
    logits, following = backend.step(ids, {"image": image, SO_FAR: words})
    # Rows 0 and 2 keep two words, rows 3 and 4 three, row 1 four.
    assert [seen.tolist() for seen in graph.seen] == [
        [[1, 3], [1, 4]],
        [[1, 5, 4], [1, 3, 3]],
        [[1, 4, 3, 5]],
    ]
    kept = [(1, 3), (1, 4, 3, 5), (1, 4), (1, 5, 4), (1, 3, 3)]
    expected = [predicted(row, words) for row, words in enumerate(kept)]
    np.testing.assert_array_equal(logits, expected)
    np.testing.assert_array_equal(following[SO_FAR], np.column_stack([words, ids]))
    np.testing.assert_array_equal(following["image"], image)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (Prefix(6, 5, "end", None), [[1, 0, 3, 5, 5, 5], [1, 4, 0, 5, 5, 5]]),
        (Prefix(6, 5, "start", None), [[5, 5, 5, 1, 0, 3], [5, 5, 5, 1, 4, 0]]),
        (Prefix(6, 0, "end", 0), [[1, 3, 0, 0, 0, 0], [1, 4, 0, 0, 0, 0]]),
        (Prefix(6, 0, "start", 0), [[0, 0, 0, 0, 1, 3], [0, 0, 0, 0, 1, 4]]),
        (Prefix(3, 5, "start", None), [[1, 0, 3], [1, 4, 0]]),
        (Prefix(None, 5, "end", None), [[1, 0, 3], [1, 4, 0]]),
        (Prefix(None, 5, "start", 0), [[1, 3], [1, 4]]),
    ],
    ids=repr,
)
def test_padding_and_skipping(prefix: Prefix, expected: list[list[int]]) -> None:
    ((places, ids),) = prefix.batches(np.array([[1, 0, 3], [1, 4, 0]], np.int32))
    assert places.tolist() == [0, 1]
    assert ids.tolist() == expected


def test_what_was_given_and_returned_is_never_overwritten() -> None:
    backend = PrefixBackend(PrefixGraph(BARE), BARE)
    first = backend.encode(np.zeros((1, 1, 3)))
    _, second = backend.step(np.array([START], np.int32), first)
    backend.step(np.array([3], np.int32), second)
    _, other = backend.step(np.array([4], np.int32), second)
    assert first[SO_FAR].shape == (1, 0)
    assert second[SO_FAR].tolist() == [[START]]
    assert other[SO_FAR].tolist() == [[START, 4]]


class Untouchable(PrefixGraph):
    """Nothing may run."""

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("the image was encoded")


def test_too_many_words_are_refused_before_anything_runs() -> None:
    prefix = PREFIXES["fixed"]
    manifest = tiny_manifest(kind="prefix", prefix=prefix)
    captioner = Captioner(manifest, PrefixBackend(Untouchable(prefix), prefix))
    for call in (captioner.caption, captioner.stream, captioner.caption_batch):
        with pytest.raises(OptionError, match=r"max_words is 9, .*at most 8"):
            call("none.jpg", max_words=9)  # type: ignore[operator]


def test_the_wrapper_alone_refuses_words_beyond_its_length() -> None:
    backend = PrefixBackend(PrefixGraph(PADDED[0]), PADDED[0])
    state = {"image": np.zeros((1, 1), np.float32), SO_FAR: np.ones((1, 9), np.int32)}
    with pytest.raises(OptionError, match=r"max_words is 10, .*at most 9"):
        backend.step(np.array([3], np.int32), state)


class TestFiles:
    """Each interpreter against the same model in numpy."""

    def test_captions_equal_the_model_in_numpy(
        self, prefix_file: Path, tiny_model: TinyModel
    ) -> None:
        manifest = read_manifest(prefix_file)
        assert manifest.prefix is not None
        expected = Captioner(manifest, PrefixBackend(tiny_model, manifest.prefix))
        colours = np.random.default_rng(7).integers(0, 256, (8, 1, 1, 3))
        captions = set()
        with Captioner.load(prefix_file, threads=1) as captioner:
            for colour in colours:
                picture = np.broadcast_to(colour, (20, 30, 3)).astype(np.uint8)
                for options in ({"beam": 1}, {"beam": 4, "n_best": 3, "min_words": 4}):
                    found = captioner.caption(picture, **options)  # type: ignore[arg-type]
                    want = expected.caption(picture, **options)  # type: ignore[arg-type]
                    assert found.ids == want.ids
                    assert found.log_probability == pytest.approx(want.log_probability, abs=1e-3)
                captions.add(captioner.caption(picture, beam=1).ids)
                words = tuple(captioner.stream(picture, max_words=6))
                assert words == captioner.caption(picture, beam=1, max_words=6).words
        assert len(captions) > 1

    def test_rows_and_lengths_change_in_any_order(
        self, prefix_file: Path, tiny_model: TinyModel
    ) -> None:
        manifest = read_manifest(prefix_file)
        assert manifest.prefix is not None
        backend = open_backend(prefix_file, manifest, 1)
        expected = PrefixBackend(tiny_model, manifest.prefix)
        rng = np.random.default_rng(0)
        for rows, length in ((1, 1), (3, 5), (1, 5), (5, 2), (3, 5), (1, 8), (2, 1), (1, 1)):
            ids = rng.integers(1, len(WORDS), (rows, length)).astype(np.int32)
            state = {
                "h": rng.normal(0, 1, (rows, WIDTH)).astype(np.float32),
                SO_FAR: ids[:, :-1],
            }
            logits, following = backend.step(ids[:, -1], state)
            np.testing.assert_allclose(logits, expected.step(ids[:, -1], state)[0], atol=1e-4)
            assert logits.dtype == np.float32
            np.testing.assert_array_equal(following["h"], state["h"])
            np.testing.assert_array_equal(following[SO_FAR], ids)

    def test_a_manifest_of_another_kind_is_refused(
        self, prefix_file: Path, onnx_file: Path, tflite_file: Path
    ) -> None:
        for path, manifest in (
            (prefix_file, tiny_manifest()),
            (onnx_file, read_manifest(prefix_file)),
            (tflite_file, read_manifest(prefix_file)),
        ):
            with pytest.raises(BundleError, match="export the captioner again"):
                open_backend(path, manifest, 1)
