"""Choosing a captioner's search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecap.cli import main
from edgecap.searches import Tried, best_search, grid
from edgecap_runtime.errors import OptionError
from edgecap_runtime.options import DecodingOptions


def tried(beam: int, bleu4: float, cider: float = 0.4, penalty: float = 0.5, **more: Any) -> Tried:
    options = DecodingOptions(beam=beam, length_penalty=penalty)
    facts = {"different": 500, "mean_words": 9.0, "broken": (), **more}
    return Tried(options, (60.0, 40.0, 30.0, bleu4), cider, **facts)


def test_greedy_search_is_tried_once_for_all_penalties() -> None:
    found = grid(DecodingOptions(max_words=12), (3, 1, 3), (0.5, 0))
    assert [(one.beam, one.length_penalty) for one in found] == [(1, 0.7), (3, 0), (3, 0.5)]
    assert {one.max_words for one in found} == {12}


def test_each_is_tried_with_each_ban_on_repeating() -> None:
    found = grid(DecodingOptions(no_repeat_ngram=4), (1, 2), (1,), (3, 0))
    assert [(one.beam, one.no_repeat_ngram) for one in found] == [(1, 0), (1, 3), (2, 0), (2, 3)]
    assert [
        one.no_repeat_ngram for one in grid(DecodingOptions(no_repeat_ngram=4), (1,), (1,))
    ] == [4]
    said = Tried(found[3], (1, 1, 1, 1), 1, different=1, mean_words=1, broken=())
    assert said.name == "beam 2, penalty 1, 3-grams once"


@pytest.mark.parametrize(("beams", "penalties"), [((0,), (1,)), ((3,), (11,)), ((3,), ())])
def test_illegal_searches_are_refused(beams: tuple[int], penalties: tuple[float]) -> None:
    with pytest.raises(OptionError):
        grid(DecodingOptions(), beams, penalties)


def test_the_best_is_that_of_the_metric() -> None:
    several = [tried(1, 19.0, 0.41), tried(3, 20.0, 0.40), tried(5, 19.5, 0.42)]
    assert best_search(several, "bleu-4").options.beam == 3
    assert best_search(several, "cider-d").options.beam == 5


def test_a_wider_beam_must_be_worth_it() -> None:
    assert best_search([tried(1, 19.95), tried(3, 20.0)], "bleu-4").options.beam == 1
    assert best_search([tried(1, 19.85), tried(3, 20.0)], "bleu-4").options.beam == 3
    # Among penalties of one width the better one wins, however narrowly.
    of_three = [tried(3, 19.98, penalty=0), tried(3, 20.0, penalty=1)]
    assert best_search(of_three, "bleu-4").options.length_penalty == 1


def test_faulty_captions_stand_back() -> None:
    faulty = tried(3, 25.0, broken=("different",))
    assert best_search([tried(1, 19.0), faulty], "bleu-4").options.beam == 1
    assert best_search([faulty], "bleu-4") is faulty


def test_command_tries_and_stores(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = json.loads((run / "run.json").read_text())
    words = ["search", str(run), "--data", str(tiny_data), "--beams", "1,2", "--penalties", "0,1"]
    looked = CliRunner().invoke(main, words)
    assert looked.exit_code == 0, looked.output
    assert "greedy *" in looked.output
    assert json.loads((run / "run.json").read_text()) == before

    done = CliRunner().invoke(main, [*words, "--store", "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert [(one["beam"], one["length_penalty"]) for one in answer["tried"]][1:] == [(2, 0), (2, 1)]
    # It has learned the colours, so that nothing is better than greedy search.
    assert answer["best"]["beam"] == 1
    assert answer["best"]["corpus_bleu"][0] > 90
    after = json.loads((run / "run.json").read_text())
    assert before["defaults"]["beam"] == 3
    assert after["defaults"] == {**before["defaults"], "beam": 1}
    assert after["provenance"]["search"]["by"] == "bleu-4"
    assert after["provenance"]["search"]["tried"] == answer["tried"]


@pytest.mark.parametrize(
    ("option", "value", "legal"),
    [
        ("--beams", "1,wide", "whole numbers from 1 to 64"),
        ("--beams", "0,3", "whole numbers from 1 to 64"),
        ("--beams", "2.5", "whole numbers from 1 to 64"),
        ("--penalties", "nan", "numbers from 0 to 10"),
        ("--penalties", "", "numbers from 0 to 10"),
    ],
)
def test_command_refuses_other_numbers(
    tiny_run: Path, tiny_data: Path, option: str, value: str, legal: str
) -> None:
    words = ["search", str(tiny_run), "--data", str(tiny_data), option, value]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert f"{value!r} is not what it takes: {legal}, with commas between" in said
    assert option in said
