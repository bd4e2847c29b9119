"""Captions as the words that the COCO caption evaluation scores.

Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (2015): captions are
tokenised in the Penn Treebank manner, lower-cased, and rid of a list of punctuation tokens. Their
tokenizer is a Java program (Stanford's PTBTokenizer of CoreNLP 3.4.1); this one was written from
what it does. On the captions of Flickr8k, as they stand and put back into plain writing, the two
differ in about one of 10 000.

`edgecap.data.tokenise`, which makes the words that captioners learn, differs in small things: it
drops brackets, splits "AT&T", "d'ye" and addresses, and takes the full stop off "St." and "U.S." at
the end of a caption.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["coco_tokenise", "coco_words"]

_ABBREVIATIONS = (
    "mr|mrs|ms|messrs|mme|dr|st|jr|sr|mt|ft|vs|etc|sgt|lt|capt|cpl|pvt|maj|gen|col|adm|cmdr|prof|"
    "rev|gov|sen|rep|pres|hon|ave|blvd|rd|sq|bldg|co|inc|ltd|corp|bros|assn|dept|univ|esq|al|cf|"
    "tel|est|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri|"
    r"calif|fla|va|ga|ariz|mo|ph\.d"
)

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
"""What brackets are called in the Treebank. The COCO evaluation means to drop four of them, but its
list has them in upper case and its captions are in lower case by then: they count as words."""

_QUOTES = str.maketrans("‘’", "''")

_WORD = r"\w+(?:[-/.]\w+)*"  # "t-shirt", "man/woman", "3.5" and "grass.the" are one word

# Tried from the top at each place. What none of them takes is space, or punctuation that is
# dropped: full stops, commas, colons, quotes, dashes.
_TOKEN = re.compile(
    rf"""
    </?[a-z][^<>\s]*>                               # a tag, such as <unk>
    | https?://\S+ | www\.\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | [#@][^\W\d]\w*                                # a hashtag or a name
    | (?-i:[A-Z]+&[A-Z]+)                           # a company; "b&w" is three tokens
    | (?<!\w)(?:{_ABBREVIATIONS})\.(?!\w)
    | (?<!\w)no\.(?=\s*(?:\d|$))                    # number, or the end of the caption
    | (?<!\w)[a-z](?:\.[a-z])+\.?(?!\w)             # u.s.
    | (?<!\w)[a-hj-z]\.(?!\w)                       # an initial
    | \d+(?:[.,:]\d+)+ | (?<!\w)\.\d+               # 1,000 and 10:30
    | (?<!\w)'\d0s\b | (?<!\w)'(?:em|til|cause|n)\b(?!') | 'n'
    | \b(?:o'clock|ma'am|d'ye|[od]'\w\w\w+) | \bol'(?!\w)
    | \by'(?=all\b)
    | (?<!\w)'t(?=is\b|was\b) | \bcan(?=not\b) | \bgon(?=na\b) | \bwan(?=na\b) | \bgot(?=ta\b)
    | \bgim(?=me\b) | \blem(?=me\b)
    | \w+?(?=n't(?!\w)) | n't(?!\w)                 # ca n't
    | '(?:s|m|d|re|ve|ll)(?!\w)                     # dog 's
    | [?!]{{2,}}                                    # one of them is dropped, two are a word
    | {_WORD}
    | [][(){{}}$%&\#*+/<=>@\\^|~]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def coco_tokenise(text: str) -> tuple[str, ...]:
    """Return the words of a caption for the COCO evaluation's scores.

    text: a caption as people write it, or tokens with spaces between them.

    >>> coco_tokenise('The dog\\'s ball is "red". It can\\'t roll!')
    ('the', 'dog', "'s", 'ball', 'is', 'red', 'it', 'ca', "n't", 'roll')
    """
    found = (token.lower() for token in _TOKEN.findall(text.translate(_QUOTES)))
    return tuple(_BRACKETS.get(token, token) for token in found)


def coco_words(captions: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """Tokenise captions anew that are lists of tokens already, of whatever tokenizer."""
    return [coco_tokenise(" ".join(tokens)) for tokens in captions]
