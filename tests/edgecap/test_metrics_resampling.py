"""Intervals and p values: by brute force, by theory, and against scoring the drawn corpora."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

from edgecap.metrics import (
    METRICS,
    CaptionScorer,
    DocumentFrequencies,
    cider_d,
    corpus_bleu,
    meteor_exact_stem,
    rouge_l,
    sentence_mean_bleu1,
)
from edgecap.metrics.metric import Floats, table_of
from edgecap.metrics.resampling import bootstrap, paired_bootstrap, randomisation_p
from edgecap_runtime.errors import EdgecapError, OptionError

Caption = list[str]
WORDS = ["a", "dog", "dogs", "runs", "run", "on", "grass", "snow"]


def corpus(seed: int, images: int) -> tuple[list[Caption], list[Caption], list[list[Caption]]]:
    """Make two systems' captions and three references for each image."""
    dice = random.Random(seed)

    def captions(count: int) -> list[Caption]:
        return [dice.choices(WORDS, k=dice.randint(4, 9)) for _ in range(count)]

    return captions(images), captions(images), [captions(3) for _ in range(images)]


def total(sums: Floats) -> Floats:
    return sums[..., :1]


def test_every_metric_scores_rows_together_as_one_by_one() -> None:
    candidates, _, references = corpus(1, 12)
    for metric in METRICS:
        made = metric(references)
        table = table_of(made, candidates)
        assert table.shape == (12, metric.columns)
        one_by_one = np.stack([made.scores(row) for row in table])
        assert one_by_one.shape == (12, len(metric.labels))
        np.testing.assert_allclose(made.scores(table), one_by_one, atol=1e-12)
        np.testing.assert_allclose(made.scores(table[None]), one_by_one[None], atol=1e-12)


def test_scorer_gives_each_metrics_own_score() -> None:
    candidates, baseline, references = corpus(2, 30)
    scorer = CaptionScorer(references)
    scores = scorer.score(candidates)
    found = {key: [score.value for score in each] for key, each in scores.items()}
    assert found == {
        "corpus_bleu": pytest.approx(corpus_bleu(candidates, references)),
        "rouge_l": [pytest.approx(rouge_l(candidates, references))],
        "meteor_exact_stem": [pytest.approx(meteor_exact_stem(candidates, references))],
        "cider_d": [pytest.approx(cider_d(candidates, references))],
        "sentence_mean_bleu1": [pytest.approx(sentence_mean_bleu1(candidates, references) / 100)],
    }
    for each in scores.values():
        for score in each:
            assert score.low < score.value < score.high
    differences = scorer.compare(candidates, baseline)
    theirs = scorer.score(baseline)
    for key, each in differences.items():
        for place, found_difference in enumerate(each):
            exact = scores[key][place].value - theirs[key][place].value
            assert found_difference.value == pytest.approx(exact)
            assert found_difference.low < exact < found_difference.high
            assert 0 < found_difference.p <= 1


def test_a_draw_is_scored_as_the_corpus_that_was_drawn() -> None:
    """With one draw, both ends of an interval are the score of a corpus that repeats images."""
    candidates, _, references = corpus(3, 10)
    counts = np.random.default_rng(4).multinomial(10, np.full(10, 0.1), size=1)[0]
    drawn = [image for image, count in enumerate(counts) for _ in range(count)]
    said = [candidates[image] for image in drawn]
    of_drawn = [references[image] for image in drawn]
    expected = {
        "corpus_bleu": corpus_bleu(said, of_drawn),
        "rouge_l": (rouge_l(said, of_drawn),),
        "meteor_exact_stem": (meteor_exact_stem(said, of_drawn),),
        "cider_d": (cider_d(said, of_drawn, DocumentFrequencies(references)),),
        "sentence_mean_bleu1": (sentence_mean_bleu1(said, of_drawn) / 100,),
    }
    for metric in METRICS:
        made = metric(references)
        low, high = bootstrap(table_of(made, candidates), made.scores, samples=1, seed=4)
        assert low == pytest.approx(high)
        assert low == pytest.approx(expected[metric.key]), metric.key


def test_interval_of_a_mean_is_that_of_theory() -> None:
    # 400 images, standard deviation s: 1.96 s / sqrt(400) to either side of the mean.
    values = np.random.default_rng(5).exponential(size=400)
    table = np.stack([values, np.ones(400)], axis=1)
    low, high = bootstrap(table, lambda sums: sums[..., :1] / sums[..., 1:], samples=4000)[:, 0]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_pairing_takes_out_what_both_systems_share() -> None:
    dice = np.random.default_rng(6)
    images = dice.normal(size=(200, 1)) * 10
    ours, theirs = images + 0.5, images + dice.normal(size=(200, 1)) * 0.1
    low, high = paired_bootstrap(ours, theirs, total)[:, 0]
    assert 0 < low < (ours - theirs).sum() < high
    alone_low, alone_high = bootstrap(ours, total)[:, 0]
    assert high - low < (alone_high - alone_low) / 20


def test_p_equals_brute_force_over_all_exchanges() -> None:
    dice = np.random.default_rng(7)
    ours, theirs = dice.normal(0.5, 1, (8, 2)), dice.normal(0, 1, (8, 2))
    real = np.abs((ours - theirs).sum(axis=0))
    as_large = np.zeros(2)
    for signs in product((1, -1), repeat=8):
        difference = (np.array(signs)[:, None] * (ours - theirs)).sum(axis=0)
        as_large += np.abs(difference) >= real - 1e-9
    p = randomisation_p(ours, theirs, lambda sums: sums, trials=20_000)
    assert p == pytest.approx(as_large / 2**8, abs=0.015)


def test_p_of_equal_systems_is_seldom_small_and_of_different_ones_always() -> None:
    dice = np.random.default_rng(8)
    alike = [
        randomisation_p(dice.normal(size=(30, 1)), dice.normal(size=(30, 1)), total, 200)[0]
        for _ in range(200)
    ]
    assert 0.01 < np.mean(np.array(alike) < 0.05) < 0.1
    apart = dice.normal(3, 1, (30, 1)), dice.normal(0, 1, (30, 1))
    assert randomisation_p(*apart, total, 999)[0] == pytest.approx(1 / 1000)


def test_a_system_against_itself() -> None:
    candidates, _, references = corpus(9, 20)
    for each in CaptionScorer(references).compare(candidates, candidates).values():
        for found in each:
            assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_seeds() -> None:
    candidates, baseline, references = corpus(10, 20)
    scorer = CaptionScorer(references)
    assert scorer.compare(candidates, baseline) == scorer.compare(candidates, baseline, seed=0)
    assert scorer.score(candidates, seed=1) != scorer.score(candidates, seed=2)
    forwards = scorer.compare(candidates, baseline)["rouge_l"][0]
    backwards = scorer.compare(baseline, candidates)["rouge_l"][0]
    assert forwards.p == backwards.p
    assert forwards.low == pytest.approx(-backwards.high)


def test_bad_input() -> None:
    table = np.ones((3, 1))
    with pytest.raises(OptionError, match="bootstrap samples is 0"):
        bootstrap(table, total, samples=0)
    with pytest.raises(OptionError, match="randomisation trials is 0"):
        randomisation_p(table, table, total, trials=0)
    with pytest.raises(EdgecapError, match="Image 1 has no reference"):
        CaptionScorer([[["a"]], []])
    with pytest.raises(EdgecapError, match=r"number of captions \(2\) .* \(1\)"):
        CaptionScorer([[["a"]]]).score([["a"], ["b"]])
