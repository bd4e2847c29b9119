"""Vocabulary files of notebooks, and the words that start and end captions."""

from __future__ import annotations

import collections
import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgecap.importing.vocabulary import make_vocabulary, padding_of
from edgecap.importing.words import WordList, read_words
from edgecap_runtime.errors import OptionError

WORDS = ["zero", "startseq", "endseq", "a", "dog", "'s", "café", "7"]


def csv_of(rows: list[list[object]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


def tokenizer_of(words: list[str]) -> str:
    index = {word: number + 1 for number, word in enumerate(words)}
    return json.dumps({"class_name": "Tokenizer", "config": {"word_index": json.dumps(index)}})


def ids(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


FORMS: dict[str, tuple[str, Callable[[list[str]], bytes]]] = {
    "JSON list": (".json", lambda words: json.dumps(words).encode()),
    "JSON word to id": (".json", lambda words: json.dumps(ids(words)).encode()),
    "JSON id to word": (".json", lambda words: json.dumps(dict(enumerate(words))).encode()),
    "JSON by content": (".dat", lambda words: json.dumps(ids(words), indent=1).encode()),
    "text": (".txt", lambda words: "".join(f"{word}\n" for word in words).encode()),
    "text, Windows": (".txt", lambda words: "\r\n".join(words).encode("utf-8-sig")),
    "text, word and id": (
        ".txt", lambda words: "".join(f"{w}\t{n}\n" for n, w in enumerate(words)).encode(),
    ),
    "text, id and word": (
        ".tsv", lambda words: "".join(f"{n}\t{w}\n" for n, w in enumerate(words)).encode(),
    ),
    "CSV, word and id": (".csv", lambda words: csv_of([[w, n] for n, w in enumerate(words)])),
    "CSV, headed": (
        ".csv", lambda words: csv_of([["index", "word"], *([n, w] for n, w in enumerate(words))]),
    ),
    "CSV of a data frame": (
        ".csv", lambda words: csv_of([["", "word"], *([n, w] for n, w in enumerate(words))]),
    ),
    "CSV, one column": (".csv", lambda words: csv_of([["word"], *([w] for w in words)])),
    "pickled word to id": (".pkl", lambda words: pickle.dumps(ids(words))),
    "pickled id to word": (".pkl", lambda words: pickle.dumps(dict(enumerate(words)))),
    "pickled list": (".pickle", lambda words: pickle.dumps(words, protocol=0)),
    "pickle by content": (".bin", lambda words: pickle.dumps(ids(words), protocol=4)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_words(form: str, tmp_path: Path) -> None:
    suffix, write = FORMS[form]
    path = tmp_path / f"words{suffix}"
    path.write_bytes(write(WORDS))
    assert read_words(path).words == tuple(WORDS)


word = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8).filter(
    lambda text: not any(mark.isspace() for mark in text)
)


@settings(deadline=None)
@given(st.lists(word, min_size=2, max_size=12, unique=True), st.sampled_from(sorted(FORMS)))
def test_any_words_come_back(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], form: str
) -> None:
    # In rows, words that are all numbers or call themselves a head can't be told from ids.
    if form.startswith(("text", "CSV")):
        assume(not all(text.isdecimal() for text in words))
        assume(words[0].lower() not in ("word", "words", "token", "tokens", "text"))
    suffix, write = FORMS[form]
    path = tmp_path_factory.mktemp("any") / f"words{suffix}"
    path.write_bytes(write(words))
    assert read_words(path).words == tuple(words)


def test_a_tokenizer_has_no_word_for_id_0(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_of(WORDS[1:])))  # a text of a text, as notebooks write it
    found = read_words(path)
    assert found.words == (None, *WORDS[1:])
    vocabulary = make_vocabulary(found)
    assert vocabulary.words[0] == "<pad>"
    assert vocabulary.padding_id == 0
    assert vocabulary.never_said == (0,)
    record = json.loads(tokenizer_of(WORDS[1:]))
    record["config"]["num_words"] = 4
    path.write_text(json.dumps(record))
    assert read_words(path).words == (None, *WORDS[1:4])


class Evil:
    def __reduce__(self) -> Any:
        import os

        return os.system, ("echo executed >&2",)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Evil(), "system"),
        (collections.OrderedDict(a=0), "collections.OrderedDict"),
        (collections.Counter("ab"), "collections.Counter"),
        (collections.defaultdict(int, a=0), "collections.defaultdict"),
        (np.array(["a"]), "numpy"),
        ({"a": np.int64(0)}, "numpy"),
        (Path("x"), "pathlib"),
        ({"a": (0,)}, "tuple"),
        ({"a": 0.0}, "float"),
        ([b"a"], "bytes"),
        ([{"a", "b"}], "set"),
        ([True, None], "NoneType"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_wants_more_is_refused_by_name(
    value: object, named: str, protocol: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "words.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(OptionError, match="plain dict, list, str and int") as caught:
        read_words(path)
    if protocol > 2:  # older protocols make sets and bytes by calling something
        assert named in str(caught.value)
    assert "executed" not in "".join(capfd.readouterr())


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_a_damaged_pickle_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "words.pkl"
    path.write_bytes(b"\x80\x04" + data)
    with pytest.raises(OptionError):
        read_words(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", b"{", "no JSON"),
        ("a.json", b'{"a": "b", "c": 1}', "a dict of str to str"),
        ("a.json", b'{"a": -1}', "a dict of str to int"),
        ("a.json", b'{"a": true}', "a dict of str to bool"),
        ("a.json", b'"a"', "no JSON"),
        ("a.json", b"3", "a int"),
        ("a.json", b"[]", "empty"),
        ("a.json", b'{"x": "a", "1": "b"}', "the id 'x'"),
        ("a.json", b'["a", "b", "a"]', "the word 'a' twice, with the ids 0 and 2"),
        ("a.json", b'{"a": 1, "b": 1}', "gives the id 1 to 'a' and 'b'"),
        ("a.json", b'["a", ""]', "'' as its word 1"),
        ("a.json", b'["a", "b c"]', "'b c' as its word 1"),
        ("a.json", b'["a", 5]', "5 as its word 1"),
        ("a.json", b'{"a": 0, "b": 1000000000000}', "2 words and ids up to 1000000000000"),
        ("a.json", b'{"class_name": "Tokenizer", "config": {}}', "no word_index"),
        ("a.txt", b"a\n\nb\n", "'' as its word 1"),
        ("a.txt", b"a\t0\nb\n", "lines of 1, 2 columns"),
        ("a.txt", b"", "lines of no columns"),
        ("a.txt", b"\xff\xfe", "no UTF-8"),
        ("a.csv", b"a,b\nc,d\n", "2 columns"),
        ("a.csv", b"1,2\n3,4\n", "2 columns"),
        ("a.csv", b"a,1,x\nb,2,y\n", "3 columns"),
        ("a.csv", b"word,id\na,x\n", "the id 'x'"),
    ],
)
def test_what_is_no_vocabulary_is_refused(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError) as caught:
        read_words(tmp_path / name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_may_begin_with_a_bracket(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[START]\n[END]\n")
    assert read_words(tmp_path / "vocab.txt").words == ("[PAD]", "[START]", "[END]")


def test_a_missing_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="can't read the vocabulary"):
        read_words(tmp_path / "none.json")


def found(*words: str | None) -> WordList:
    return WordList(words, "list")


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        (("x", "startseq", "endseq", "start", "end"), "startseq", "endseq"),
        (("x", "<start>", "<end>"), "<start>", "<end>"),
        (("x", "<s>", "</s>"), "<s>", "</s>"),
        (("x", "<sos>", "<eos>"), "<sos>", "<eos>"),
        (("x", "start", "end", "a"), "start", "end"),
        (("x", "eos", "bos"), "bos", "eos"),
    ],
)
def test_start_and_end_words_are_found(words: tuple[str, ...], start: str, end: str) -> None:
    vocabulary = make_vocabulary(found(*words))
    assert vocabulary.words[vocabulary.start_id] == start
    assert vocabulary.words[vocabulary.end_id] == end


def test_start_and_end_words_are_asked_for() -> None:
    vocabulary = make_vocabulary(found("x", "BEGIN", "STOP"), start="BEGIN", end="STOP")
    assert (vocabulary.start_id, vocabulary.end_id) == (1, 2)
    assert make_vocabulary(found("x", "<s>", "</s>", "<start>", "<end>"), start="<s>").end_id == 2


@pytest.mark.parametrize(
    ("words", "choices", "sentence"),
    [
        (("x", "startseq"), {}, "no end word (only startseq to go with it)"),
        (("x", "</s>"), {}, "no start word (only </s> to go with it)"),
        (("x", "a"), {}, "no start word and no end word"),
        (("x", "<s>", "endseq"), {}, "no pair of a start and an end word"),
        (("x", "<s>", "</s>", "<start>", "<end>"), {}, "<start> and <end> or <s> and </s>"),
        (("x", "<s>", "</s>"), {"start": "go"}, "--start 'go' is not among"),
        (("x", "<s>", "</s>"), {"end": "go"}, "--end 'go' is not among"),
        (("x", "<s>", "</s>"), {"never_say": ["go"]}, "--never-say 'go' is not among"),
        (("x", "<s>", "</s>"), {"never_say": ["</s>"]}, "no caption could end"),
        (("startseq", "endseq"), {}, "has the id 0, which the model masks"),
        (("x", "<s>", "</s>"), {"padding_id": 3, "masked": False}, "the padding id is 3"),
    ],
)
def test_start_and_end_words_are_refused(
    words: tuple[str, ...], choices: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(OptionError) as caught:
        make_vocabulary(found(*words), **choices)
    assert sentence in str(caught.value)


def test_the_start_word_may_have_id_0_where_nothing_is_masked() -> None:
    assert make_vocabulary(found("startseq", "endseq"), masked=False).start_id == 0


def test_id_0_may_be_a_word_and_the_padding() -> None:
    vocabulary = make_vocabulary(found("dog", "<s>", "</s>", "<unk>", None, "<pad>"))
    assert vocabulary.padding_id == 0
    assert vocabulary.never_said == (4,)
    assert vocabulary.words[4] == "<unused-4>"
    assert vocabulary.unknown_id == 3


def test_a_padding_word_is_never_said() -> None:
    assert make_vocabulary(found("<pad>", "<s>", "</s>")).never_said == (0,)
    assert make_vocabulary(found("x", "<s>", "</s>"), never_say=["x"]).never_said == (0,)


def test_which_id_pads() -> None:
    words = found("dog", "<s>", "</s>", "<pad>")
    assert padding_of(words, masked=True, asked=None) == 0
    assert padding_of(words, masked=False, asked=None) == 3
    assert padding_of(words, masked=False, asked=1) == 1
    assert padding_of(found("dog"), masked=False, asked=None) == 0
    with pytest.raises(OptionError, match="masks id 0"):
        padding_of(words, masked=True, asked=3)
