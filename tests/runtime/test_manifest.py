from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from tiny import PREFIXES, WIDTH, tiny_manifest, tiny_vocabulary

from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import BundleError, OptionError
from edgecap_runtime.manifest import Manifest, SearchInside, StateTensor
from edgecap_runtime.preparation import Preparation
from edgecap_runtime.vocabulary import Vocabulary


def changed(entries: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    """Change fields of edgecap.json; a dotted name reaches inside, `...` takes the field away."""
    head = json.loads(entries["edgecap.json"])
    for name, value in changes.items():
        *outer, last = name.split("__")
        inside = head
        for step in outer:
            inside = inside[step]
        if value is ...:
            del inside[last]
        else:
            inside[last] = value
    return {**entries, "edgecap.json": json.dumps(head).encode()}


@pytest.mark.parametrize(
    "manifest",
    [
        tiny_manifest(),
        tiny_manifest(parity=None, source={}),
        tiny_manifest(
            preparation=Preparation(96, 128, "crop", "lanczos"),
            defaults=DecodingOptions(5, 1.0, 2, 30, 3, 4),
            state=(StateTensor("h0", (4,)), StateTensor("grid", (7, 7, 3))),
        ),
        tiny_manifest(
            vocabulary=Vocabulary(("<s>", "</s>", "été", "犬"), start_id=0, end_id=1),
            name="mit Umlaut: ä",
        ),
        tiny_manifest(kind="prefix", prefix=PREFIXES["bare"]),
        tiny_manifest(kind="prefix", prefix=PREFIXES["fixed"]),
        tiny_manifest(one_call=SearchInside(8, min_words=2, no_repeat_ngram=3)),
        tiny_manifest(greedy=SearchInside(7, min_words=1), one_call=SearchInside(7, min_words=1)),
        tiny_manifest(processor="vnni"),
    ],
    ids=[
        "all",
        "no parity",
        "other values",
        "unicode",
        "bare prefix",
        "fixed prefix",
        "one call",
        "search",
        "processor",
    ],
)
def test_round_trip(manifest: Manifest) -> None:
    assert Manifest.from_entries(manifest.to_entries()) == manifest


def test_the_entries_are_readable_by_eye() -> None:
    entries = tiny_manifest().to_entries()
    assert entries["vocabulary.txt"].decode().splitlines()[5] == "dog"
    assert json.loads(entries["edgecap.json"])["format_version"] == "1.4"
    assert json.loads(entries["parity.json"])["verdict"] == "checked on 0"


def test_line_separators_other_than_newline_stay_inside_words() -> None:
    # str.splitlines would break a word at these; none is white space to str.isspace.
    vocabulary = Vocabulary(("<s>", "</s>", "a\u200bb"), start_id=0, end_id=1)
    manifest = tiny_manifest(vocabulary=vocabulary)
    assert Manifest.from_entries(manifest.to_entries()).vocabulary == vocabulary


def test_unknown_keys_and_a_newer_minor_version_are_read() -> None:
    entries = changed(tiny_manifest().to_entries(), format_version="1.7", mood="good")
    entries["later.json"] = b"{}"
    read = Manifest.from_entries(entries)
    assert read.format_version == "1.7"
    assert read.vocabulary == tiny_vocabulary()


def test_a_newer_major_version_says_what_to_upgrade() -> None:
    # Fields of version 2 may be missing or of another kind: the version is looked at first.
    with pytest.raises(BundleError, match=r"version 2\.0.*pip install --upgrade edgecap-runtime"):
        Manifest.from_entries(
            changed(tiny_manifest().to_entries(), format_version="2.0", name=..., state=3)
        )


def test_an_unknown_kind_says_what_to_upgrade() -> None:
    with pytest.raises(BundleError, match=r"'caption'.*runs step, prefix; upgrade"):
        Manifest.from_entries(changed(tiny_manifest().to_entries(), kind="caption"))


def test_a_file_of_version_1_0_says_nothing_of_prefixes() -> None:
    entries = changed(tiny_manifest().to_entries(), format_version="1.0", prefix=...)
    assert Manifest.from_entries(entries).prefix is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"prefix": None}, "'prefix' but nothing says what its prefixes are"),
        ({"prefix": ...}, "'prefix' but nothing says what its prefixes are"),
        ({"prefix": 8}, "prefix = 8 where an object belongs"),
        ({"kind": "step"}, "'step', which reads no prefix"),
        ({"prefix__length": 0}, "length 0; give a whole number of at least 1, or none"),
        ({"prefix__length": "8"}, "length = '8'"),
        ({"prefix__padding_id": -1}, "padding_id -1; give a whole number of at least 0"),
        ({"prefix__padding_id": None}, "padding_id = None"),
        ({"prefix__padding_id": 12}, "padding_id 12, outside the vocabulary's 12 words"),
        ({"prefix__skipped_id": 12}, "skipped_id 12, outside the vocabulary's 12 words"),
        ({"prefix__skipped_id": 1.5}, "skipped_id = 1.5"),
        ({"prefix__skipped_id": 1}, "skips the id 1, which is the start id"),
        ({"prefix__padded": "middle"}, "padded at 'middle'; choose among end, start"),
        ({"prefix__length": 7}, "max_words is 8, but .* prefixes of 7 ids; give at most 7"),
    ],
    ids=str,
)
def test_bad_prefixes_are_refused(changes: dict[str, object], what: str) -> None:
    entries = tiny_manifest(kind="prefix", prefix=PREFIXES["fixed"]).to_entries()
    with pytest.raises(BundleError, match=what) as caught:
        Manifest.from_entries(changed(entries, **changes))
    assert str(caught.value).count(". ") == 0


def test_a_file_of_version_1_1_says_nothing_of_searches() -> None:
    entries = changed(tiny_manifest().to_entries(), format_version="1.1", one_call=..., greedy=...)
    read = Manifest.from_entries(entries)
    assert (read.one_call, read.greedy) == (None, None)


@pytest.mark.parametrize("version", ["1.3", "1.4"])
def test_a_file_that_names_no_processor_may_be_right_on_vnni_alone(version: str) -> None:
    manifest = tiny_manifest()
    assert manifest.processor == "any"
    entries = changed(manifest.to_entries(), format_version=version, processor=...)
    assert Manifest.from_entries(entries).processor == "vnni"


@pytest.mark.parametrize("key", ["greedy", "one_call"])
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"KEY": 8}, "KEY = 8 where an object belongs"),
        ({"KEY__max_words": 0}, "contradicts itself: max_words is 0"),
        ({"KEY__min_words": 9}, "contradicts itself: min_words is 9"),
        ({"KEY__no_repeat_ngram": "2"}, "no_repeat_ngram = '2'"),
        ({"kind": "prefix", "prefix": asdict(PREFIXES["bare"])}, "says that it .* kind 'prefix'"),
    ],
    ids=str,
)
def test_a_bad_search_is_refused(key: str, changes: dict[str, object], what: str) -> None:
    entries = tiny_manifest(**{key: SearchInside(8)}).to_entries()
    changes = {name.replace("KEY", key): value for name, value in changes.items()}
    with pytest.raises(BundleError, match=what.replace("KEY", key)) as caught:
        Manifest.from_entries(changed(entries, **changes))
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("choices", "suits"),
    [
        ({}, True),
        ({"length_penalty": 2.0}, True),
        ({"beam": 2}, False),
        ({"max_words": 7}, False),
        ({"min_words": 2}, False),
        ({"no_repeat_ngram": 0}, False),
    ],
    ids=str,
)
def test_a_search_suits_the_options_that_it_was_made_by(
    choices: dict[str, Any], suits: bool
) -> None:
    options = DecodingOptions(beam=1, max_words=8, min_words=1, no_repeat_ngram=3)
    search = SearchInside(8, min_words=1, no_repeat_ngram=3)
    assert search.suits(options.changed(**choices)) == suits


def test_words_beyond_a_fixed_prefix_are_refused() -> None:
    manifest = tiny_manifest(kind="prefix", prefix=PREFIXES["fixed"])
    assert manifest.decoding(max_words=8, min_words=2).max_words == 8
    with pytest.raises(OptionError, match=r"max_words is 9, .* prefixes of 8 ids; give at most 8"):
        manifest.decoding(max_words=9)
    bare = tiny_manifest(kind="prefix", prefix=PREFIXES["bare"])
    assert bare.decoding(max_words=1000).max_words == 1000


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"format_version": "0.9"}, "older"),
        ({"format_version": "one"}, "'one'"),
        ({"format_version": 1.0}, "format_version = 1.0"),
        ({"name": ...}, "'name'"),
        ({"encoder": 4}, "encoder = 4"),
        ({"preparation": []}, "preparation"),
        ({"preparation__height": "8"}, "height"),
        ({"preparation__resampling": "cubic"}, "'cubic'"),
        ({"preparation__height": True}, "height = True"),
        ({"defaults__beam": 0}, "beam is 0"),
        ({"defaults__length_penalty": None}, "length_penalty"),
        ({"vocabulary__size": 11}, "12 words.*says 11"),
        ({"vocabulary__start_id": 12}, "start_id 12"),
        ({"vocabulary__never_said": [0, "1"]}, "never_said"),
        ({"vocabulary__attach_left": [1]}, "attach_left"),
        ({"state": []}, "no state tensor"),
        ({"state": [{"name": "h", "shape": [0], "dtype": "float32"}]}, r"\[0\]"),
        ({"state": [{"name": "h", "shape": [6], "dtype": "int8"}]}, "int8"),
        ({"state": [{"name": "h h", "shape": [6], "dtype": "float32"}]}, "'h h'"),
        ({"state": ["h"]}, "state"),
        ({"source": None}, "source"),
    ],
    ids=str,
)
def test_contradictions_are_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(BundleError, match=what):
        Manifest.from_entries(changed(tiny_manifest().to_entries(), **changes))


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("edgecap.json", None),
        ("vocabulary.txt", None),
        ("edgecap.json", b"{"),
        ("edgecap.json", b"[]"),
        ("edgecap.json", b"\xff\xfe"),
        ("vocabulary.txt", b"\xff\xfe\n"),
        ("vocabulary.txt", b""),
        ("parity.json", b"nothing"),
    ],
    ids=str,
)
def test_broken_entries_are_named(entry: str, content: bytes | None) -> None:
    entries = tiny_manifest().to_entries()
    if content is None:
        del entries[entry]
    else:
        entries[entry] = content
    with pytest.raises(BundleError, match=entry.replace("vocabulary.txt", "vocabulary")):
        Manifest.from_entries(entries)


def test_padding_and_unknown_may_be_missing() -> None:
    entries = changed(
        tiny_manifest().to_entries(), vocabulary__padding_id=None, vocabulary__unknown_id=...
    )
    vocabulary = Manifest.from_entries(entries).vocabulary
    assert vocabulary.padding_id is None
    assert vocabulary.unknown_id is None


def test_the_state_has_a_width() -> None:
    assert tiny_manifest().state == (StateTensor("h", (WIDTH,)),)
