"""CIDEr-D by hand, and against the COCO caption evaluation's own scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edgecap.cider import DocumentFrequencies, cider_d

REFERENCE = (
    Path(__file__).parents[3]
    / "shared/data/caption_metrics/fakecap_val2014_subset126_reference_scores.json"
)


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


@pytest.mark.skipif(not REFERENCE.is_file(), reason="needs the reference scores in ../shared")
def test_agrees_with_the_coco_caption_evaluation() -> None:
    known = json.loads(REFERENCE.read_text())
    images = list(known["gts"])
    said = [known["res"][image][0].split() for image in images]
    references = [[caption.split() for caption in known["gts"][image]] for image in images]
    assert cider_d(said, references) == pytest.approx(known["scores"]["Cider"], abs=1e-6)
