from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.data import clean_tokens, tokenise
from edgecap.data.tokenise import PUNCTUATION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog's ball is red. It rolls!", "the dog 's ball is red it rolls"),
        ('A man "riding" a (red) bike ...', "a man riding a red bike"),
        ("Don't 'stop' now", "do n't stop now"),
        ("Mr. Smith in the U.S. , at 3.5 km", "mr. smith in the u.s. at 3.5 km"),
        ("It’s a “big” dog — asleep", "it 's a big dog asleep"),
        ("A t-shirt - and a hat", "a t-shirt and a hat"),
        ("A child in a pink dress is climbing .", "a child in a pink dress is climbing"),
        ("the dog 's ball", "the dog 's ball"),
        (" \n ", ""),
        ("...", ""),
    ],
)
def test_a_caption_as_people_write_it(text: str, expected: str) -> None:
    assert tokenise(text) == tuple(expected.split())


def test_tokens_of_a_tokenised_caption() -> None:
    tokens = ["A", "Dog", "'s", "`", "ball", "''", "-LRB-", "#", "2", "-RRB-", "--", "."]
    assert clean_tokens(tokens) == ("a", "dog", "'s", "ball", "#", "2")


def test_the_vocabularys_own_words_are_no_words_of_a_caption() -> None:
    assert clean_tokens(["<start>", "a", "<UNK>", "dog", "<end>"]) == ("a", "dog")


def test_composed_and_decomposed_letters_are_one_word() -> None:
    assert tokenise("caf\u00e9") == tokenise("cafe\u0301") == ("caf\u00e9",)


@given(st.text(max_size=60))
def test_tokens_are_fit_for_one_line_of_a_vocabulary_file(text: str) -> None:
    tokens = tokenise(text)
    for token in tokens:
        assert token.split() == [token]
        assert token not in PUNCTUATION
    assert clean_tokens(tokens) == tokens
