from __future__ import annotations

import dataclasses

import pytest

from edgecap_runtime.errors import BundleError, OptionError
from edgecap_runtime.vocabulary import Vocabulary

WORDS = ("<start>", "<end>", "<unk>", "a", "dog", "'s", "ball", ",", ".")


def vocabulary(**changes: object) -> Vocabulary:
    values: dict[str, object] = {"words": WORDS, "start_id": 0, "end_id": 1, "unknown_id": 2}
    return Vocabulary(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "dog", "'s", "ball"], "a dog's ball"),
        (["a", "dog", ",", "a", "ball", "."], "a dog, a ball."),
        (["'s", "ball"], "'s ball"),
    ],
)
def test_join(words: list[str], text: str) -> None:
    assert vocabulary().join(words) == text


def test_join_with_other_rules() -> None:
    assert vocabulary(attach_left=()).join(["dog", "'s"]) == "dog 's"


def test_ids_and_words_are_inverse() -> None:
    ids = vocabulary().ids_of(["a", "dog", "'s"])
    assert ids == [3, 4, 5]
    assert vocabulary().words_of(ids) == ("a", "dog", "'s")
    assert len(vocabulary()) == len(WORDS)


def test_unknown_words() -> None:
    assert vocabulary().ids_of(["zebra"]) == [2]
    with pytest.raises(OptionError, match="'zebra'"):
        vocabulary(unknown_id=None).ids_of(["zebra"])


def test_one_id_for_padding_and_unknown_is_legal() -> None:
    assert vocabulary(padding_id=2).padding_id == 2


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"start_id": 9}, "start_id 9"),
        ({"end_id": -1}, "end_id -1"),
        ({"padding_id": 99}, "padding_id 99"),
        ({"end_id": None}, "end_id is None"),
        ({"start_id": True}, "start_id is True"),
        ({"never_said": (50,)}, "never_said 50"),
        ({"never_said": (1,)}, "never said"),
        ({"words": ("<start>",)}, "1 words"),
        ({"words": ("<start>", "<end>", "a", "a")}, "'a' twice"),
        ({"words": ("<start>", "<end>", "<unk>", "")}, "Word 3"),
        ({"words": ("<start>", "<end>", "<unk>", "two words")}, "'two words'"),
    ],
    ids=str,
)
def test_contradictions_are_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(BundleError, match=what):
        vocabulary(**changes)


def test_equality_survives_use() -> None:
    used = vocabulary()
    used.ids_of(["a"])
    used.join(["a"])
    assert used == vocabulary()
    assert dataclasses.asdict(used) == dataclasses.asdict(vocabulary())
