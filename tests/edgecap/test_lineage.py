"""What a run comes from is told whole, and each run of it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.captioner import read_design, write_design
from edgecap.lineage import folded, how_made_before, trainings_of, unfolded
from edgecap.record import RECORD, Record, read_record, write_record
from edgecap_runtime.errors import EdgecapError

ALONE = st.fixed_dictionaries(
    {"name": st.sampled_from("abc")},
    optional={"command": st.sampled_from(["train", "mean"]), "share": st.sampled_from([0.3, 0.7])},
)


def come_from(before: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(before, max_size=3)
    ways = {"begun_from": before, "encoder_of": before, "teachers": several, "averaged": several}
    return st.builds(
        lambda alone, more: {**alone, **more}, ALONE, st.fixed_dictionaries({}, optional=ways)
    )


MADE = st.recursive(ALONE, come_from, max_leaves=12)


@given(MADE)
def test_what_was_folded_comes_back(made: dict[str, Any]) -> None:
    flat = json.loads(json.dumps(folded(made)))
    assert unfolded(flat) == made
    # No run holds another, and none is there twice.
    runs = [json.dumps(each, sort_keys=True) for each in flat.get("runs", ())]
    assert len(set(runs)) == len(runs)
    assert not any('{"name"' in text[1:] for text in runs)


@given(MADE)
def test_what_was_never_folded_is_read_as_it_is(made: dict[str, Any]) -> None:
    assert unfolded(made) == made


def mean_of_generations(count: int) -> dict[str, Any]:
    made: dict[str, Any] = {"command": "words", "training": {"seed": 0}, "scores": {"seconds": 60}}
    for generation in range(count):
        # Both parts of each mean learned from the mean before.
        teacher = how_made_before(f"mean{generation}", made)
        parts = [
            {"name": part, "share": share, "command": f"{part}{generation}", "teachers": [teacher]}
            for part, share in (("words", 0.7), ("scores", 0.3))
        ]
        made = {"command": f"mean {generation}", "averaged": parts}
    return made


def test_a_file_grows_by_a_generation_and_does_not_double() -> None:
    sizes = [len(json.dumps(folded(mean_of_generations(count)))) for count in (4, 5, 6)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
    assert len(json.dumps(mean_of_generations(6))) > 10 * sizes[2]
    assert len(trainings_of(unfolded(folded(mean_of_generations(6))))) == 1 + 3 * 6


def rewritten(run: Path, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """A copy of the run's design that comes from others, as its file has it."""
    design = read_design(run)
    design = type(design)(**{**vars(design), "provenance": {**design.provenance, **made}})
    write_design(design, out)
    written: dict[str, Any] = json.loads((out / "run.json").read_text())
    return written


def test_a_run_and_its_record_hold_each_run_once(tiny_run: Path, tmp_path: Path) -> None:
    made = mean_of_generations(6)
    whole = {**read_design(tiny_run).provenance, **made}
    assert len(rewritten(tiny_run, tmp_path, made)["provenance"]["runs"]) == 1 + 3 * 6 - 1
    assert read_design(tmp_path).provenance == whole
    record = Record.of_run(tmp_path)
    assert record.provenance == whole
    write_record(record, tmp_path)
    assert read_record(tmp_path) == record
    assert (tmp_path / RECORD).stat().st_size < 20_000


def test_a_file_of_before_holds_the_tree_itself(tiny_run: Path, tmp_path: Path) -> None:
    made = mean_of_generations(2)
    before = rewritten(tiny_run, tmp_path, {})
    before["run_version"] = 1
    before["provenance"] |= made
    (tmp_path / "run.json").write_text(json.dumps(before))
    assert read_design(tmp_path).provenance == before["provenance"]
    assert Record.of_run(tmp_path).provenance == before["provenance"]


@pytest.mark.parametrize("place", [1, -1, 7])
def test_a_run_that_is_not_listed_is_damage(tiny_run: Path, tmp_path: Path, place: int) -> None:
    damaged = rewritten(tiny_run, tmp_path, {})
    damaged["provenance"] |= {"begun_from": place, "runs": [{"name": "a"}]}
    (tmp_path / "run.json").write_text(json.dumps(damaged))
    with pytest.raises(EdgecapError, match=f"no number {place}"):
        read_design(tmp_path)
    with pytest.raises(EdgecapError, match=f"no number {place}"):
        Record.of_run(tmp_path)


def test_provenance_that_is_no_table_is_damage(tiny_run: Path, tmp_path: Path) -> None:
    damaged = {**rewritten(tiny_run, tmp_path, {}), "provenance": []}
    (tmp_path / "run.json").write_text(json.dumps(damaged))
    for read in (read_design, Record.of_run):
        with pytest.raises(EdgecapError, match="AttributeError"):
            read(tmp_path)
