from __future__ import annotations

import math
import random
import warnings
from typing import Any

import numpy as np
import pytest
from nltk.translate import bleu_score

from edgecap.metrics import corpus_bleu, paired_bootstrap_bleu4, sentence_mean_bleu1
from edgecap_runtime.errors import EdgecapError, OptionError

Caption = list[str]


def random_corpus(
    seed: int, images: int = 30, shortest: int = 4
) -> tuple[list[Caption], list[list[Caption]]]:
    rng = random.Random(seed)

    def caption() -> Caption:
        return rng.choices("abcde", k=rng.randint(shortest, 12))

    references = [[caption() for _ in range(rng.randint(1, 5))] for _ in range(images)]
    return [caption() for _ in range(images)], references


def words(*captions: str) -> list[Caption]:
    return [caption.split() for caption in captions]


@pytest.mark.parametrize("seed", range(8))
def test_corpus_bleu_equals_nltk(seed: int) -> None:
    candidates, references = random_corpus(seed)
    for order, score in enumerate(corpus_bleu(candidates, references), start=1):
        expected = bleu_score.corpus_bleu(references, candidates, weights=(1 / order,) * order)
        assert expected > 0
        assert score == pytest.approx(100 * expected, rel=1e-12)


@pytest.mark.filterwarnings(r"ignore:\s*The hypothesis contains 0 counts:UserWarning")
@pytest.mark.parametrize("seed", range(4))
def test_sentence_mean_equals_nltk(seed: int) -> None:
    candidates, references = random_corpus(seed, shortest=1)
    expected = [
        bleu_score.sentence_bleu(of_image, candidate, weights=(1, 0, 0, 0))
        for candidate, of_image in zip(candidates, references, strict=True)
    ]
    mean = 100 * sum(expected) / len(expected)
    assert sentence_mean_bleu1(candidates, references) == pytest.approx(mean, rel=1e-12)


def test_clipping_worked_by_hand() -> None:
    # Papineni et al., example 2: "the" counts twice of seven, as in the first reference.
    (candidate,) = words("the the the the the the the")
    references = [words("the cat is on the mat", "there is a cat on the mat")]
    assert corpus_bleu([candidate], references) == pytest.approx((100 * 2 / 7, 0, 0, 0))


def test_two_images_worked_by_hand() -> None:
    candidates = words("a dog runs on grass", "a cat")
    references = [words("a dog runs on the grass"), words("a cat sits", "one cat sits here")]
    # Matches / n-grams: 7/7, 4/5, 2/3, 1/2 (the short caption has no 3-gram and no 4-gram);
    # lengths 7 against 6 + 3.
    brevity = math.exp(1 - 9 / 7)
    precisions = [7 / 7, 4 / 5, 2 / 3, 1 / 2]
    expected = [
        100 * brevity * math.prod(precisions[:order]) ** (1 / order) for order in range(1, 5)
    ]
    assert corpus_bleu(candidates, references) == pytest.approx(expected)
    sentences = (math.exp(1 - 6 / 5) + math.exp(1 - 3 / 2)) / 2
    assert sentence_mean_bleu1(candidates, references) == pytest.approx(100 * sentences)


def test_of_two_equally_close_references_the_shorter_counts() -> None:
    candidates = words("a b c d e")
    references = [words("a b c d e x x", "a b c")]
    assert corpus_bleu(candidates, references)[0] == pytest.approx(100)


def test_a_perfect_corpus() -> None:
    candidates, _ = random_corpus(3)
    assert corpus_bleu(candidates, [[c] for c in candidates]) == pytest.approx((100,) * 4)


def test_zero_is_zero_and_silent() -> None:
    references = [words("a dog runs on grass")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert corpus_bleu(words("two men"), references) == (0, 0, 0, 0)
        assert corpus_bleu([[]], references) == (0, 0, 0, 0)
        assert sentence_mean_bleu1([[]], references) == 0
        unigrams_only = corpus_bleu(words("grass on runs dog a"), references)
        assert unigrams_only == pytest.approx((100, 0, 0, 0))


@pytest.mark.shared
def test_corpus_bleu_equals_the_coco_evaluation(coco_oracle: Any) -> None:
    expected = [100 * score for score in coco_oracle.scores["Bleu"]]
    found = corpus_bleu(coco_oracle.candidates, coco_oracle.references)
    assert found == pytest.approx(expected, abs=0.01)


def test_bootstrap_of_a_system_against_itself_is_zero() -> None:
    candidates, references = random_corpus(5)
    result = paired_bootstrap_bleu4(candidates, candidates, references, seed=0, samples=50)
    assert result == {"difference": 0, "low": 0, "high": 0}


def test_bootstrap_difference_and_interval() -> None:
    candidates, references = random_corpus(6, images=60)
    baseline, _ = random_corpus(7, images=60)
    # A third of the captions perfect: clearly better than random ones.
    better = [
        references[image][0] if image % 3 == 0 else candidate
        for image, candidate in enumerate(candidates)
    ]
    result = paired_bootstrap_bleu4(better, baseline, references, seed=1)
    exact = corpus_bleu(better, references)[3] - corpus_bleu(baseline, references)[3]
    assert result["difference"] == pytest.approx(exact)
    assert 0 < result["low"] < exact < result["high"]
    mirrored = paired_bootstrap_bleu4(baseline, better, references, seed=1)
    assert mirrored["low"] == pytest.approx(-result["high"])
    assert result == paired_bootstrap_bleu4(better, baseline, references, seed=1)
    assert result != paired_bootstrap_bleu4(better, baseline, references, seed=2)


def test_bootstrap_equals_scoring_the_drawn_corpora() -> None:
    """With one draw, both ends are the difference on a corpus that repeats the drawn images."""
    candidates, references = random_corpus(8, images=10)
    baseline, _ = random_corpus(9, images=10)
    counts = np.random.default_rng(4).multinomial(10, np.full(10, 0.1), size=1)[0]
    drawn = [image for image, count in enumerate(counts) for _ in range(count)]
    of_drawn = [references[image] for image in drawn]
    ours = corpus_bleu([candidates[image] for image in drawn], of_drawn)[3]
    theirs = corpus_bleu([baseline[image] for image in drawn], of_drawn)[3]
    result = paired_bootstrap_bleu4(candidates, baseline, references, seed=4, samples=1)
    assert result["low"] == result["high"] == pytest.approx(ours - theirs)


def test_bad_input() -> None:
    references = [words("a dog")]
    with pytest.raises(EdgecapError, match="no caption to score"):
        corpus_bleu([], [])
    with pytest.raises(EdgecapError, match=r"number of captions \(2\) .* \(1\)"):
        corpus_bleu(words("a", "b"), references)
    with pytest.raises(EdgecapError, match="Image 0 has no reference"):
        sentence_mean_bleu1(words("a"), [[]])
    with pytest.raises(EdgecapError, match="is the string 'a dog'; give a list of tokens"):
        corpus_bleu(["a dog"], references)
    with pytest.raises(EdgecapError, match="is the string 'a dog'"):
        corpus_bleu(words("a dog"), [["a dog"]])
    with pytest.raises(OptionError, match="bootstrap samples is 0"):
        paired_bootstrap_bleu4(words("a"), words("a"), references, seed=0, samples=0)
