"""When a Captioner searches by the file, and what it makes of the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import SIDE, TinyModel, tiny_manifest

from edgecap_runtime import Captioner
from edgecap_runtime.decoding import decode, read_words
from edgecap_runtime.errors import BundleError
from edgecap_runtime.manifest import SearchInside
from edgecap_runtime.options import DecodingOptions

INSIDE = SearchInside(max_words=6, min_words=2)


class Searching:
    """A tiny model that holds a search, and counts what it is asked for."""

    def __init__(self, spoilt: float | None = None) -> None:
        self._model = TinyModel.random()
        self._spoilt = spoilt
        self.searches = self.steps = 0
        self.encode, self.close = self._model.encode, self._model.close

    def step(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        self.steps += 1
        return self._model.step(ids, state)

    def greedy(self, state: Any) -> tuple[np.ndarray, int, np.ndarray]:
        self.searches += 1
        options = INSIDE.options()
        found = decode(self._model.step, state, tiny_manifest().vocabulary, options)[0]
        ids = np.full(INSIDE.max_words, 2, np.int32)
        ids[: len(found.ids)] = found.ids
        scores = np.zeros(INSIDE.max_words, np.float32)
        scores[0] = found.log_probability if self._spoilt is None else self._spoilt
        return ids, len(found.ids), scores


def captioners(**changes: Any) -> tuple[Captioner, Captioner, Searching]:
    """One that can search by its file, one that can't, and what the first asks."""
    defaults = DecodingOptions(beam=3, max_words=6, min_words=2)
    backend = Searching(**changes)
    manifest = tiny_manifest(greedy=INSIDE, defaults=defaults)
    plain = Captioner(tiny_manifest(defaults=defaults), TinyModel.random())
    return Captioner(manifest, backend), plain, backend


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(8)]


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ({"beam": 1}, True),
        ({"beam": 1, "length_penalty": 2.0}, True),
        ({"beam": 1, "max_words": 6, "min_words": 2, "n_best": 1}, True),
        ({}, False),
        ({"beam": 3}, False),
        ({"beam": 1, "max_words": 5}, False),
        ({"beam": 1, "max_words": 7}, False),
        ({"beam": 1, "min_words": 1}, False),
        ({"beam": 1, "no_repeat_ngram": 2}, False),
    ],
    ids=str,
)
def test_it_searches_by_the_file_where_that_finds_the_same(
    options: dict[str, Any], inside: bool
) -> None:
    searching, plain, backend = captioners()
    for picture in pictures():
        found, want = (item.caption(picture, **options) for item in (searching, plain))
        assert (found.ids, found.text) == (want.ids, want.text)
        assert found.score == pytest.approx(want.score, abs=1e-5)
        assert found.timings.steps == want.timings.steps
        assert found.timings.encode > 0
        assert found.timings.decode > 0
    assert (backend.searches > 0, backend.steps > 0) == (inside, not inside)
    assert [item.ids for item in searching.caption_batch(pictures(), **options)] == [
        plain.caption(picture, **options).ids for picture in pictures()
    ]
    assert (backend.searches > 0, backend.steps > 0) == (inside, not inside)


def test_a_stream_steps() -> None:
    searching, plain, backend = captioners()
    for picture in pictures():
        assert list(searching.stream(picture)) == list(plain.stream(picture))
    assert backend.searches == 0


@pytest.mark.parametrize("spoilt", [-np.inf, np.nan])
def test_what_the_file_cannot_score_is_stepped(spoilt: float) -> None:
    searching, plain, backend = captioners(spoilt=spoilt)
    for picture in pictures():
        found, want = (item.caption(picture, beam=1) for item in (searching, plain))
        assert (found.ids, found.score) == (want.ids, want.score)
        assert found.timings.steps == want.timings.steps
    assert min(backend.searches, backend.steps) > 0


def test_logits_that_are_not_finite_are_refused_as_ever() -> None:
    searching, _, backend = captioners(spoilt=np.nan)
    backend.step = lambda ids, state: (np.full((1, 12), np.nan, np.float32), state)  # type: ignore[method-assign]
    with pytest.raises(BundleError, match="not finite"):
        searching.caption(pictures()[0], beam=1)


@pytest.mark.parametrize(
    ("length", "min_words", "ended", "total"),
    [
        (0, 0, True, -1.0),
        (2, 0, True, -7.0),
        (3, 0, False, -7.0),
        # Before the least words an end says that no word was allowed: it is not counted.
        (1, 2, False, -1.0),
        (2, 2, True, -7.0),
    ],
)
def test_the_end_counts_where_it_was_chosen(
    length: int, min_words: int, ended: bool, total: float
) -> None:
    ids = np.array([4, 5, 6], np.int32)
    scores = np.array([-1, -2, -4], np.float32)
    options = DecodingOptions(beam=1, max_words=3, min_words=min_words, length_penalty=1)
    found = read_words((ids, length, scores), options)
    assert found is not None
    assert (found.ids, found.ended) == (tuple(ids[:length].tolist()), ended)
    assert found.log_probability == total
    assert found.score == pytest.approx(total / max(1, length + ended))


def test_rounding_makes_no_probability_above_one() -> None:
    words = np.array([4, 5], np.int32), 1, np.array([1e-7, -0.5], np.float32)
    found = read_words(words, DecodingOptions(beam=1, max_words=2))
    assert found is not None
    assert found.log_probability == -0.5
