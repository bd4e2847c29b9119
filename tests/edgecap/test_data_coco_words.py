"""The COCO evaluation's tokenisation: cases worked by hand from what its own tokenizer gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.data import coco_tokenise, coco_words, tokenise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 's and other endings
        ("The dog's ball", "the dog 's ball"),
        ("the dog 's ball", "the dog 's ball"),
        ("two dogs' bowls and a cat’s", "two dogs bowls and a cat 's"),
        ("It's. He'd've; they'll, I'm", "it 's he 'd 've they 'll i 'm"),
        ("Don't, can't, won't and cannot", "do n't ca n't wo n't and can not"),
        ("a bird's-eye view", "a bird 's eye view"),
        ("gonna wanna gotta gimme lemme", "gon na wan na got ta gim me lem me"),
        ("'Tis a rock 'n' roll band of the '80s", "'t is a rock 'n' roll band of the '80s"),
        ("give 'em an o'clock, O'Brien, ma'am", "give 'em an o'clock o'brien ma'am"),
        ("y'all ain't", "y' all ai n't"),
        # hyphens and slashes
        ("A t-shirt - and a 3-year-old", "a t-shirt and a 3-year-old"),
        ("walking--fast -- red- and blue", "walking fast red and blue"),
        ("man/woman and/or 1/2-inch", "man/woman and/or 1/2-inch"),
        # capitals
        ("A MAN in the U.S. and the US", "a man in the u.s. and the us"),
        ("an AT&T sign, a b&w photo", "an at&t sign a b & w photo"),
        # punctuation
        ("A dog runs. It rolls!", "a dog runs it rolls"),
        ("wait... what? no..yes", "wait what no yes"),
        ("what?? no?! hello!!!", "what ?? no ?! hello !!!"),
        ("a man;a woman:a dog,a cat", "a man a woman a dog a cat"),
        ("a (red) [bike] {here}", "a -lrb- red -rrb- -lsb- bike -rsb- -lcb- here -rcb-"),
        ("grass.The dog", "grass.the dog"),
        ("Mr. Smith on Main St.", "mr. smith on main st."),
        ("vitamin C. in the sun. he and I.", "vitamin c. in the sun he and i"),
        # quotes
        ("a \"No Parking\" sign and a 'big' dog", "a no parking sign and a big dog"),
        ("“quoted” ‘text’ ``old'' style", "quoted text old style"),
        ("5'10\" tall", "5 10 tall"),
        # numbers
        ("50% of $5 & #1 at 10:30pm", "50 % of $ 5 & # 1 at 10:30 pm"),
        ("1,000 people, 3.5 km, the 1st of 1990's", "1,000 people 3.5 km the 1st of 1990 's"),
        ("No. 5 shirt, no. one", "no. 5 shirt no one"),
        # the rest
        ("a <unk> dog", "a <unk> dog"),
        ("me@x.com at http://x.com/a #fun", "me@x.com at http://x.com/a #fun"),
        ("Café naïve 😀", "café naïve"),
        (" \n ", ""),
        ("...", ""),
    ],
)
def test_a_caption(text: str, expected: str) -> None:
    assert coco_tokenise(text) == tuple(expected.split())


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("a (red) bike", "a red bike"),
        ("an AT&T sign", "an at & t sign"),
        ("a sign on Main St.", "a sign on main st"),
        ("wait what?! no..yes", "wait what no..yes"),
        ("No. 5 shirt", "no 5 shirt"),
        ("the '80s", "the 80s"),
    ],
)
def test_where_the_words_of_captioners_differ(text: str, ours: str) -> None:
    assert tokenise(text) == tuple(ours.split()) != coco_tokenise(text)


def test_tokens_are_tokenised_anew() -> None:
    captions = [["a", "dog", "'s", "ball"], ["he", "cannot", "run", "."], []]
    assert coco_words(captions) == [("a", "dog", "'s", "ball"), ("he", "can", "not", "run"), ()]


@given(st.text(max_size=60))
def test_tokens_hold_no_space_and_no_capitals(text: str) -> None:
    for token in coco_tokenise(text):
        assert token.split() == [token]
        assert token == token.lower()
