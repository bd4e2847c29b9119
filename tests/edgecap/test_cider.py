"""CIDEr-D by hand, and against the COCO caption evaluation's own scores."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgecap.metrics import DocumentFrequencies, cider_d
from edgecap_runtime.errors import EdgecapError


def test_equal_captions_score_ten_and_strangers_nothing() -> None:
    references = [[["a", "b", "c", "d", "e"]], [["f", "g", "h", "i", "j"]]]
    assert cider_d([of_image[0] for of_image in references], references) == pytest.approx(10)
    assert cider_d([["v", "w", "x", "y", "z"]] * 2, references) == 0


def test_one_pair_worked_by_hand() -> None:
    # Three images, so an n-gram of one image weighs log 3. "x y" against "x y z": unigrams x, y in
    # common (2 of norm sqrt 2 and sqrt 3), bigram "x y" (of norm 1 and sqrt 2), no trigram said.
    references = [[["x", "y", "z"]], [["p", "q", "r"]], [["s", "t", "u"]]]
    judge = DocumentFrequencies(references).judge(references[0])
    unigrams, bigrams = 2 / (math.sqrt(2) * math.sqrt(3)), 1 / math.sqrt(2)
    expected = 10 * (unigrams + bigrams) / 4 * math.exp(-(1**2) / (2 * 6**2))
    assert judge.score(["x", "y"]) == pytest.approx(expected)


def test_repeating_a_word_does_not_pay() -> None:
    references = [[["x", "y", "z"]], [["p", "q", "r"]], [["s", "t", "u"]]]
    judge = DocumentFrequencies(references).judge(references[0])
    assert judge.score(["x", "x", "x"]) < judge.score(["x", "y", "z"]) / 3


def test_a_word_of_every_image_tells_nothing() -> None:
    references = [[["a", "x"]], [["a", "y"]]]
    assert cider_d([["a"], ["a"]], references) == 0


@pytest.mark.shared
def test_agrees_with_the_coco_caption_evaluation(coco_oracle: Any) -> None:
    score = cider_d(coco_oracle.candidates, coco_oracle.references)
    assert score == pytest.approx(coco_oracle.scores["Cider"], abs=1e-6)


def test_document_frequencies_may_come_from_elsewhere() -> None:
    # "a" is in both images here, and in one of four there: it weighs log 2/2 = 0, or log 4.
    references = [[["a", "x"]], [["a", "y"]]]
    elsewhere = DocumentFrequencies([[["a"]], [["b"]], [["c"]], [["d"]]])
    assert cider_d([["a"], ["a"]], references) == 0
    # One of two unigrams of equal weight, three orders without a match, one word apart.
    expected = 10 * (1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert cider_d([["a"], ["a"]], references, elsewhere) == pytest.approx(expected)


def test_bad_input() -> None:
    with pytest.raises(EdgecapError, match=r"number of captions \(1\) .* \(2\)"):
        cider_d([["a"]], [[["a"]], [["b"]]])
