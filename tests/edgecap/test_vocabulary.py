from __future__ import annotations

import random

import pytest

from edgecap.vocabulary import SPECIAL_WORDS, build_vocabulary
from edgecap_runtime.errors import OptionError

CAPTIONS = [
    ("a", "dog", "'s", "ball"),
    ("a", "cat", "and", "a", "dog"),
    ("the", "cat", "<unk>", "<end>", "<end>"),
]


def test_ids_fall_with_the_count_and_ties_are_alphabetical() -> None:
    vocabulary = build_vocabulary(CAPTIONS, minimum_count=1)
    assert vocabulary.words == (*SPECIAL_WORDS, "a", "cat", "dog", "'s", "and", "ball", "the")
    assert (vocabulary.padding_id, vocabulary.start_id) == (0, 1)
    assert (vocabulary.end_id, vocabulary.unknown_id) == (2, 3)
    assert vocabulary.never_said == (0, 1, 3)
    assert vocabulary.join(["a", "dog", "'s", "ball"]) == "a dog's ball"


def test_rare_words_become_the_unknown_word() -> None:
    vocabulary = build_vocabulary(CAPTIONS, minimum_count=2)
    assert vocabulary.words[4:] == ("a", "cat", "dog")
    assert list(vocabulary.ids_of(["a", "purple", "dog"])) == [4, 3, 6]


def test_the_order_of_the_captions_does_not_matter() -> None:
    captions = [tuple(random.Random(1).choices("abcdefgh", k=9)) for _ in range(3)] + CAPTIONS
    shuffled = random.Random(2).sample(captions, len(captions))
    assert build_vocabulary(captions, 1) == build_vocabulary(iter(shuffled), 1)


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "5"])
def test_an_illegal_minimum_count(count: object) -> None:
    with pytest.raises(OptionError, match="use a whole number of 1 or more"):
        build_vocabulary(CAPTIONS, minimum_count=count)  # type: ignore[arg-type]


def test_a_minimum_count_that_no_word_reaches() -> None:
    with pytest.raises(OptionError, match=r"No word occurs 5 times .* 3 times"):
        build_vocabulary(CAPTIONS)
    with pytest.raises(OptionError, match="No word occurs 1 times"):
        build_vocabulary([], 1)
