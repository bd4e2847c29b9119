"""Captions as lower-case tokens without punctuation, as the COCO caption evaluation has them.

Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (2015), tokenise in
the Penn Treebank manner ("the dog's ball" -> the dog 's ball) and drop a fixed list of
punctuation tokens. Their tokenizer is a Java program; here nltk's Treebank tokenizer does the
same work, with the few steps added in which it differs on captions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from nltk.tokenize import TreebankWordTokenizer

from edgecap.vocabulary import SPECIAL_WORDS

__all__ = ["PUNCTUATION", "clean_tokens", "tokenise"]

_COCO_LIST = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", ";", "-", "--", "..."])
_BRACKETS = frozenset(["-lrb-", "-rrb-", "-lcb-", "-rcb-", "-lsb-", "-rsb-", *"(){}[]"])

PUNCTUATION = _COCO_LIST | _BRACKETS | {'"'}
"""The tokens that are dropped: the COCO evaluation's list (in lower case), and brackets and the
double quote as they stand in text that was not escaped in the Treebank manner."""

_ABBREVIATIONS = frozenset(["mr.", "mrs.", "ms.", "dr.", "st.", "jr.", "sr.", "mt.", "vs."])

_ASCII_SIGNS = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": " -- ", "—": " -- ", "…": " ... "}
)

_TREEBANK = TreebankWordTokenizer()

# nltk's Treebank tokenizer leaves a single quote on the word that it opens ('red), and splits the
# full stop off the last word only, because it expects one sentence; a caption is often two.
_OPENING_QUOTE = re.compile(r"(?<!\S)'(?=\w)(?!(?:s|re|ve|ll|d|m|t|n|em|til)\b)", re.IGNORECASE)
_FULL_STOP = re.compile(r"([^.]*)\.+")  # no dot inside the word: "u.s." and "3.5" are left alone


def clean_tokens(tokens: Iterable[str]) -> tuple[str, ...]:
    """Return the tokens of a caption that is already tokenised in the form that edgecap uses.

    They are lower-cased (Unicode NFC), and punctuation (`PUNCTUATION`) is dropped, as are words
    which would read as the vocabulary's own (`edgecap.vocabulary.SPECIAL_WORDS`). "'s" is kept.
    """
    lowered = (unicodedata.normalize("NFC", token.lower()) for token in tokens)
    words = (word for token in lowered for word in token.split())
    return tuple(word for word in words if word not in PUNCTUATION and word not in SPECIAL_WORDS)


def tokenise(text: str) -> tuple[str, ...]:
    """Return the tokens of a caption as people write it.

    >>> tokenise("The dog's ball is red. It rolls!")
    ('the', 'dog', "'s", 'ball', 'is', 'red', 'it', 'rolls')
    """
    plain = _OPENING_QUOTE.sub("", text.translate(_ASCII_SIGNS))
    return clean_tokens(_without_full_stop(token) for token in _TREEBANK.tokenize(plain))


def _without_full_stop(token: str) -> str:
    match = _FULL_STOP.fullmatch(token)
    return match[1] if match and token.lower() not in _ABBREVIATIONS else token
