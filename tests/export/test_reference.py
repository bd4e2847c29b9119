"""The yardstick itself: the reference search against exhaustive search, and its rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgecap_export import reference
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("<start>", "<end>", "a", "b", "c"), 0, 1, None, None, (0,))


class Markov:
    """Predictions that depend on the last word and on the image, as `PrefixModel` gives them."""

    def __init__(self, seed: int, images: int = 3) -> None:
        logits = np.random.default_rng(seed).normal(0, 2, (images, 5, 5))
        self.table = reference.log_softmax(logits)

    def last(self, features, prefixes):
        images = features[:, 0].astype(int)
        before = [words[-1] if words else 0 for words in prefixes]
        return self.table[images, before].copy()


def every_caption(model: Markov, image: int, options: DecodingOptions):
    """All captions with their scores, best first, by trying all word sequences."""
    found = []
    for length in range(options.max_words + 1):
        for words in itertools.product((2, 3, 4), repeat=length):
            places = [0, *words]
            total = sum(model.table[image, a, b] for a, b in itertools.pairwise(places))
            tokens = length
            if length < options.max_words:
                if length < options.min_words:
                    continue
                total += model.table[image, places[-1], 1]
                tokens += 1
            size = options.no_repeat_ngram
            ngrams = [words[at : at + size] for at in range(length - size + 1)] if size else []
            if len(set(ngrams)) == len(ngrams):
                found.append((total / tokens**options.length_penalty, words))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(beam=64, max_words=4, length_penalty=0.7),
        DecodingOptions(beam=64, max_words=4, length_penalty=2.0, min_words=2),
        DecodingOptions(beam=64, max_words=4, no_repeat_ngram=1, min_words=1),
        DecodingOptions(beam=64, max_words=4, no_repeat_ngram=2, min_words=4),
    ],
)
def test_wide_beam_finds_the_best_of_all_captions(seed, options):
    # 3 words, at most 4 of them: the widest beam holds every prefix but the cut ones of length 4.
    model = Markov(seed)
    features = np.arange(3, dtype=np.float32)[:, None]
    found = reference._beam(model, features, VOCABULARY, options)
    for image in range(3):
        captions = every_caption(model, image, options)
        scores = {words: score for score, words in captions}
        # Scores and not words: in a Markov chain some orders of words are equally likely.
        assert scores[found[image]] == pytest.approx(captions[0][0], abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_greedy_takes_the_likeliest_word_that_is_allowed(seed):
    model = Markov(seed)
    options = DecodingOptions(beam=1, max_words=5)
    features = np.arange(3, dtype=np.float32)[:, None]
    found, scores = reference.greedy_captions(model, features, VOCABULARY, options)
    for image in range(3):
        words: list[int] = []
        while len(words) < 5:
            row = model.table[image, words[-1] if words else 0]
            word = max((1, 2, 3, 4), key=lambda word: row[word])
            if word == 1:
                break
            words.append(word)
        assert found[image] == tuple(words)
        tokens = words if len(words) == 5 else [*words, 1]
        pairs = itertools.pairwise([0, *tokens])
        assert scores[image] == tuple(model.table[image, one, other] for one, other in pairs)
    assert found == reference._beam(model, features, VOCABULARY, options)


def test_prefix_model_says_what_the_training_graph_says(source, prover):
    words = np.array([[7, 9, 30]], np.int32)
    features = prover.reference.features[:1]
    found = prover.model.log_probabilities(features, words)
    ids = np.array([[1, 7, 9, 30]], np.int32)
    logits = np.asarray(source.decoder.prefix_logits(features, ids), np.float64)
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(prover.model.last(features, [(7, 9, 30)]), found[:, -1])


def test_many_rows_come_in_portions(prover):
    features = np.repeat(prover.reference.features[:2], 100, axis=0)
    found = prover.model.last(features, [(5,)] * 200)
    assert found.shape[0] == 200
    np.testing.assert_allclose(found[0], found[99], atol=1e-5)
    np.testing.assert_allclose(found[100], found[199], atol=1e-5)


def test_other_decoding_rules_hold_in_runtime_and_reference(limited, tmp_path):
    from edgecap_export import export

    from .conftest import photographs

    report = export(limited, tmp_path / "a.tflite", images=photographs(20, seed=4))
    assert report.parity.token_exact_greedy == 1
    assert report.parity.token_exact_beam == 1
    assert report.parity.beam == 4


def test_a_captioner_whose_search_is_greedy_is_proven_by_a_beam_too(source, tmp_path):
    from dataclasses import replace

    from edgecap_export import export
    from edgecap_runtime.bundle import read_manifest

    from .conftest import photographs

    greedy = replace(source, defaults=source.defaults.changed(beam=1))
    report = export(greedy, tmp_path / "a.tflite", images=photographs(20, seed=4))
    assert report.parity.beam == 3
    assert report.parity.token_exact_beam == 1
    assert read_manifest(tmp_path / "a.tflite").defaults.beam == 1
