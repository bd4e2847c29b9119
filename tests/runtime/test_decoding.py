from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_runtime import decoding
from edgecap_runtime.decoding import DecodingOptions, decode, decode_together, greedy_words
from edgecap_runtime.errors import BundleError, OptionError
from edgecap_runtime.vocabulary import Vocabulary

START, END = 0, 1


def vocabulary_of(size: int, never_said: tuple[int, ...] = ()) -> Vocabulary:
    words = ("<start>", "<end>", *(f"w{place}" for place in range(2, size)))
    return Vocabulary(words, start_id=START, end_id=END, never_said=never_said)


class Markov:
    """A step whose logits depend on the last TWO words: the state carries the one before."""

    def __init__(self, size: int, seed: int, spread: float = 2.0) -> None:
        rng = np.random.default_rng(seed)
        self.table = rng.normal(0, spread, (size, size, size)).astype(np.float32)
        self.rows: list[int] = []

    def first_state(self) -> dict[str, np.ndarray]:
        return {"before": np.zeros((1, 1), np.float32)}

    def __call__(self, ids, state):  # type: ignore[no-untyped-def]
        assert ids.dtype == np.int32
        self.rows.append(len(ids))
        before = state["before"][:, 0].astype(int)
        return self.table[before, ids], {"before": ids[:, None].astype(np.float32)}

    def log_probabilities(self, before: int, last: int) -> np.ndarray:
        logits = self.table[before, last].astype(np.float64)
        return logits - math.log(np.exp(logits).sum())


def repeats(words: tuple[int, ...], size: int) -> bool:
    grams = [words[place : place + size] for place in range(len(words) - size + 1)]
    return len(set(grams)) < len(grams)


def every_caption(
    model: Markov, size: int, options: DecodingOptions, never_said: tuple[int, ...]
) -> list[tuple[tuple[int, ...], float, float]]:
    """All captions that the options allow, by enumeration: (words, log probability, score)."""
    sayable = [word for word in range(size) if word not in (START, END, *never_said)]
    found = []
    for length in range(options.max_words + 1):
        for words in itertools.product(sayable, repeat=length):
            if options.no_repeat_ngram and repeats(words, options.no_repeat_ngram):
                continue
            ended = length < options.max_words
            if ended and length < options.min_words:
                continue
            tokens = (*words, END) if ended else words
            total, before, last = 0.0, 0, START
            for token in tokens:
                total += model.log_probabilities(before, last)[token]
                before, last = last, token
            found.append((words, total, total / len(tokens) ** options.length_penalty))
    return found


cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "size": st.integers(3, 5),
        "max_words": st.integers(1, 3),
        "length_penalty": st.sampled_from([0.0, 0.5, 0.7, 1.0, 2.0]),
        "min_words": st.integers(0, 3),
        "no_repeat_ngram": st.sampled_from([0, 0, 2, 3]),
        "forbid": st.booleans(),
    }
)


def options_of(case: dict, **changes: object) -> DecodingOptions:
    names = ("max_words", "length_penalty", "no_repeat_ngram")
    values = {name: case[name] for name in names}
    values["min_words"] = min(case["min_words"], case["max_words"])
    return DecodingOptions(**{**values, "n_best": 1, **changes})  # type: ignore[arg-type]


def never_said_of(case: dict) -> tuple[int, ...]:
    return (2,) if case["forbid"] and case["size"] > 3 else ()


@settings(max_examples=150, deadline=None)
@given(cases)
def test_a_wide_beam_finds_what_brute_force_finds(case: dict) -> None:
    size, never_said = case["size"], never_said_of(case)
    options = options_of(case, beam=64, n_best=3)
    model = Markov(size, case["seed"])
    expected = sorted(every_caption(model, size, options, never_said), key=lambda item: -item[2])
    found = decode(model, model.first_state(), vocabulary_of(size, never_said), options)
    if not expected:
        # The rules forbid every caption: a cut one is better than none.
        assert not found[0].ended
        return
    scores = [hypothesis.score for hypothesis in found]
    np.testing.assert_allclose(scores, [item[2] for item in expected[: len(found)]], atol=1e-5)
    assert len(found) == min(3, len(expected))
    by_words = {words: total for words, total, _ in expected}
    for hypothesis in found:
        assert hypothesis.log_probability == pytest.approx(by_words[hypothesis.ids], abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(cases)
def test_greedy_equals_a_beam_of_one_exactly(case: dict) -> None:
    case = {**case, "max_words": case["max_words"] * 3}
    vocabulary = vocabulary_of(case["size"], never_said_of(case))
    options = options_of(case, beam=1)
    model = Markov(case["size"], case["seed"])
    greedy = decode(model, model.first_state(), vocabulary, options)
    beam = decoding._drive(decoding._beam(model.first_state(), vocabulary, options), model)
    assert greedy == beam


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(2, 5))
def test_every_beam_keeps_the_rules(case: dict, width: int) -> None:
    case = {**case, "max_words": case["max_words"] * 3}
    never_said = never_said_of(case)
    options = options_of(case, beam=width, n_best=width)
    model = Markov(case["size"], case["seed"])
    found = decode(model, model.first_state(), vocabulary_of(case["size"], never_said), options)
    assert 1 <= len(found) <= width
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert len({(item.ids, item.ended) for item in found}) == len(found)
    for item in found:
        assert not {START, END, *never_said} & set(item.ids)
        assert len(item.ids) <= options.max_words
        if item.ended:
            assert len(item.ids) >= options.min_words
        if options.no_repeat_ngram:
            assert not repeats(item.ids, options.no_repeat_ngram)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_greedy_takes_the_likeliest_word_each_time(case: dict) -> None:
    model = Markov(case["size"], case["seed"])
    options = DecodingOptions(beam=1, max_words=6)
    (found,) = decode(model, model.first_state(), vocabulary_of(case["size"]), options)
    words: list[int] = []
    before, last, total = 0, START, 0.0
    for _ in range(6):
        scores = model.log_probabilities(before, last)
        scores_allowed = scores.copy()
        scores_allowed[START] = -np.inf
        token = int(scores_allowed.argmax())
        total += scores[token]
        if token == END:
            break
        words.append(token)
        before, last = last, token
    assert found.ids == tuple(words)
    # The start id's share is not given to the others: log-softmax comes before the filters.
    assert found.log_probability == pytest.approx(total, abs=1e-5)


def test_stream_equals_greedy() -> None:
    model, vocabulary = Markov(6, 11), vocabulary_of(6)
    options = DecodingOptions(beam=1, max_words=9, min_words=4)
    (found,) = decode(model, model.first_state(), vocabulary, options)
    words = tuple(greedy_words(model, model.first_state(), vocabulary, options))
    assert words == vocabulary.words_of(found.ids)
    assert len(words) >= 4


def test_stream_runs_a_step_per_word_and_no_more() -> None:
    model, vocabulary = Markov(6, 11), vocabulary_of(6)
    options = DecodingOptions(beam=1, min_words=9, max_words=9)
    stream = greedy_words(model, model.first_state(), vocabulary, options)
    assert model.rows == []
    next(stream)
    next(stream)
    assert model.rows == [1, 1]


@pytest.mark.parametrize("beam", [1, 3])
def test_many_images_together_say_what_each_says_alone(beam: int) -> None:
    model, vocabulary = Markov(8, 5, spread=0.5), vocabulary_of(8)
    options = DecodingOptions(beam=beam, max_words=9, n_best=beam)
    one = model.first_state()
    # Images that differ: each begins after another word.
    firsts = [{name: np.full_like(array, word) for name, array in one.items()} for word in range(6)]
    alone = [decode(model, first, vocabulary, options) for first in firsts]
    model.rows.clear()
    joined = {name: np.concatenate([first[name] for first in firsts]) for name in one}
    together = decode_together(model, joined, vocabulary, options)
    assert [[found.ids for found in image] for image in together] == [
        [found.ids for found in image] for image in alone
    ]
    for mine, theirs in zip(together, alone, strict=True):
        assert [f.score for f in mine] == pytest.approx([f.score for f in theirs], abs=1e-6)
    assert len({image[0].ids for image in together}) > 1
    assert len(model.rows) <= 9
    assert model.rows[0] == 6


def test_a_beam_is_one_batched_step_of_a_steady_row_count() -> None:
    model = Markov(8, 3, spread=0.3)
    options = DecodingOptions(beam=4, max_words=10, min_words=6)
    decode(model, model.first_state(), vocabulary_of(8), options)
    assert set(model.rows) == {1, 4}
    assert len(model.rows) <= 10


def fixed(*rows: list[float]):  # type: ignore[no-untyped-def]
    """A step that answers these probabilities, one list per step, whatever the words."""
    state = {"t": np.zeros((1, 1), np.float32)}

    def step(ids, state):  # type: ignore[no-untyped-def]
        place = state["t"][:, 0].astype(int)
        logits = np.log(np.array(rows, np.float32))[place]
        return logits, {"t": state["t"] + 1}

    return step, state


def test_the_beam_worked_by_hand() -> None:
    # Words a, b (ids 2, 3). Step 1: a .6, b .3, end .1. Step 2: end .5, a .4, b .1.
    step, state = fixed([1e-9, 0.1, 0.6, 0.3], [1e-9, 0.5, 0.4, 0.1])
    options = DecodingOptions(beam=2, length_penalty=0, max_words=2, n_best=2)
    best, second = decode(step, state, vocabulary_of(4), options)
    assert best.ids == (2,)
    assert best.ended
    assert best.log_probability == pytest.approx(math.log(0.3), abs=1e-6)
    assert second.ids == (2, 2)
    assert not second.ended
    assert second.log_probability == pytest.approx(math.log(0.24), abs=1e-6)


def test_the_length_penalty_prefers_longer_captions() -> None:
    step, state = fixed([1e-9, 0.4, 0.35, 0.25], [1e-9, 0.8, 0.1, 0.1], [1e-9, 0.9, 0.05, 0.05])
    vocabulary = vocabulary_of(4)
    short = decode(step, state, vocabulary, DecodingOptions(beam=3, length_penalty=0, max_words=3))
    long = decode(step, state, vocabulary, DecodingOptions(beam=3, length_penalty=1, max_words=3))
    assert short[0].ids == ()
    assert long[0].ids == (2,)
    assert long[0].score == pytest.approx(math.log(0.35 * 0.8) / 2, abs=1e-6)


def test_ties_go_to_the_lower_id() -> None:
    step, state = fixed(*[[0.25] * 4] * 3)
    vocabulary = vocabulary_of(4)
    options = DecodingOptions(beam=2, n_best=2, max_words=2, min_words=2)
    first = decode(step, state, vocabulary, options)
    assert [item.ids for item in first] == [(2, 2), (2, 3)]
    assert decode(step, state, vocabulary, options) == first
    (greedy,) = decode(step, state, vocabulary, DecodingOptions(beam=1, max_words=2, min_words=2))
    assert greedy.ids == (2, 2)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_likeliest_equals_a_stable_sort(rows: list[list[int]], count: int) -> None:
    logits = np.array(rows, np.float32)
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(decoding.likeliest(logits, count), expected)


def test_no_repeat_ngram_of_one_never_says_a_word_twice() -> None:
    model = Markov(6, 5)
    options = DecodingOptions(beam=1, max_words=10, min_words=10, no_repeat_ngram=1)
    (found,) = decode(model, model.first_state(), vocabulary_of(6), options)
    assert sorted(found.ids) == [2, 3, 4, 5]
    assert not found.ended


def test_a_dead_end_in_a_beam_gives_what_there_is() -> None:
    model = Markov(4, 5)
    options = DecodingOptions(beam=3, max_words=10, min_words=10, no_repeat_ngram=1)
    (found,) = decode(model, model.first_state(), vocabulary_of(4), options)
    assert sorted(found.ids) == [2, 3]


def test_one_id_for_start_and_end_can_end() -> None:
    vocabulary = Vocabulary(("<mark>", "a", "b"), start_id=0, end_id=0)
    step, state = fixed([0.1, 0.8, 0.1], [0.8, 0.1, 0.1])
    for beam in (1, 2):
        found = decode(step, state, vocabulary, DecodingOptions(beam=beam, max_words=2))
        assert found[0].ids == (1,)
        assert found[0].ended


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_an_error(beam: int, bad: float) -> None:
    def step(ids, state):  # type: ignore[no-untyped-def]
        return np.full((len(ids), 4), bad, np.float32), state

    with pytest.raises(BundleError, match="not finite"):
        decode(step, {}, vocabulary_of(4), DecodingOptions(beam=beam))


def test_an_answer_of_another_size_is_an_error() -> None:
    def step(ids, state):  # type: ignore[no-untyped-def]
        return np.zeros((len(ids), 7), np.float32), state

    with pytest.raises(BundleError, match=r"\[1, 7\] where \[1, 4\]"):
        decode(step, {}, vocabulary_of(4), DecodingOptions(beam=1))


@pytest.mark.parametrize(
    "illegal",
    [
        {"beam": 0},
        {"beam": 65},
        {"beam": 2.0},
        {"beam": True},
        {"max_words": 0},
        {"max_words": 1001},
        {"min_words": -1},
        {"min_words": 21},
        {"length_penalty": -0.1},
        {"length_penalty": math.nan},
        {"length_penalty": "long"},
        {"no_repeat_ngram": -1},
        {"n_best": 4},
        {"n_best": 0},
    ],
    ids=str,
)
def test_illegal_options_name_the_value(illegal: dict[str, object]) -> None:
    ((name, value),) = illegal.items()
    with pytest.raises(OptionError) as caught:
        DecodingOptions(**illegal)  # type: ignore[arg-type]
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)


def test_changed_options() -> None:
    defaults = DecodingOptions(beam=5, n_best=4, min_words=6)
    assert defaults.changed(beam=None) is defaults
    assert defaults.changed(beam=2, max_words=4) == DecodingOptions(2, 0.7, 4, 4, 0, 2)
    with pytest.raises(OptionError, match="n_best is 3"):
        defaults.changed(beam=2, n_best=3)
    with pytest.raises(OptionError, match="beam is 0"):
        defaults.changed(beam=0)
    with pytest.raises(OptionError, match="'width'"):
        defaults.changed(width=3)
