"""ROUGE-L by hand, by brute force, and against the COCO caption evaluation's own score."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.metrics import rouge_l
from edgecap.metrics.rouge import longest_common_subsequence

CAPTIONS = st.lists(st.sampled_from("abcd"), max_size=9)


def test_one_pair_worked_by_hand() -> None:
    # "a dog runs" is common: precision 3/4, recall 3/5, beta^2 1.44.
    said, reference = ["a", "brown", "dog", "runs"], ["a", "dog", "runs", "on", "grass"]
    expected = 100 * 2.44 * (3 / 4) * (3 / 5) / (3 / 5 + 1.44 * 3 / 4)
    assert rouge_l([said], [[reference]]) == pytest.approx(expected)


def test_precision_and_recall_may_be_of_different_references() -> None:
    # Against "a dog runs on the grass": precision 2/2, recall 2/6. Against "dog": 1/2 and 1/1.
    said = ["a", "dog"]
    references = [["a", "dog", "runs", "on", "the", "grass"], ["dog"]]
    assert rouge_l([said], [references]) == pytest.approx(100)


def test_it_is_a_mean_over_images() -> None:
    assert rouge_l([["a"], ["b"]], [[["a"]], [["x"]]]) == pytest.approx(50)


def test_nothing_common_and_nothing_said() -> None:
    assert rouge_l([["x"], []], [[["a"]], [["a"]]]) == 0
    assert rouge_l([["x"]], [[[]]]) == 0


@given(CAPTIONS, CAPTIONS)
def test_common_subsequence_equals_brute_force(first: list[str], second: list[str]) -> None:
    def stands_in(words: tuple[str, ...]) -> bool:
        rest = iter(second)
        return all(word in rest for word in words)

    longest = max(
        size
        for size in range(len(first) + 1)
        if any(stands_in(words) for words in combinations(first, size))
    )
    assert longest_common_subsequence(first, second) == longest


@pytest.mark.shared
def test_agrees_with_the_coco_caption_evaluation(coco_oracle: Any) -> None:
    score = rouge_l(coco_oracle.candidates, coco_oracle.references) / 100
    assert score == pytest.approx(coco_oracle.scores["Rouge"], abs=1e-6)
