"""The mean of runs' weights as a captioner."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgecap.averaging import average_runs
from edgecap.captioner import TrainedCaptioner, read_design
from edgecap.cli import main
from edgecap.record import Record
from edgecap_runtime.errors import OptionError

from .conftest import save_with_other_words


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def others(tiny_run: Path, tmp_path: Path) -> list[Path]:
    """Runs whose weights are two and four times those of the first."""
    folders = [tiny_run]
    for factor in (2.0, 4.0):
        captioner = TrainedCaptioner.load(tiny_run)
        for model in (captioner.encoder, captioner.decoder):
            model.set_weights([factor * array for array in model.get_weights()])
        before = {"name": "tiny", "command": "edgecap train --out first"}
        made = {
            **captioner.design.provenance,
            "command": f"edgecap train --out {factor:g}",
            "begun_from": before,
        }
        captioner.design = dataclasses.replace(captioner.design, provenance=made)
        captioner.save(tmp_path / f"times-{factor:g}")
        folders.append(tmp_path / f"times-{factor:g}")
    return folders


def test_weights_are_averaged_by_their_shares(others: list[Path]) -> None:
    first, second, third = others
    mean = average_runs([(first, 1), (second, 2), (third, 1)], name="mean")
    one = TrainedCaptioner.load(first)
    for averaged, alone in ((mean.encoder, one.encoder), (mean.decoder, one.decoder)):
        for ours, array in zip(averaged.get_weights(), alone.get_weights(), strict=True):
            # (1 + 2 * 2 + 4) / 4
            np.testing.assert_allclose(ours, 2.25 * array, rtol=1e-6)
            assert ours.dtype == array.dtype
    assert mean.design.name == "mean"
    assert mean.design.defaults == one.design.defaults
    averaged = mean.design.provenance["averaged"]
    assert [part["share"] for part in averaged] == [0.25, 0.5, 0.25]
    assert [part["run"] for part in averaged] == [first.name, "times-2", "times-4"]


def test_what_runs_have_in_common_stays_to_the_last_bit(tiny_run: Path, tmp_path: Path) -> None:
    """An encoder that did not learn is the same one: its features are in their cache."""
    other = TrainedCaptioner.load(tiny_run)
    other.decoder.set_weights([array + 0.1 for array in other.decoder.get_weights()])
    other.save(tmp_path / "other")
    mean = average_runs([(tiny_run, 3), (tmp_path / "other", 7)])
    one = TrainedCaptioner.load(tiny_run)
    for ours, array in zip(mean.encoder.get_weights(), one.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, array)
    for ours, array in zip(mean.decoder.get_weights(), one.decoder.get_weights(), strict=True):
        np.testing.assert_allclose(ours, array + 0.07, atol=1e-6)


def test_command_writes_a_run_that_knows_where_it_comes_from(
    others: list[Path], tiny_data: Path, tmp_path: Path
) -> None:
    # A folder whose name ends in what looks like a weight is a folder.
    odd = tmp_path / "b=3"
    shutil.copytree(others[0], odd)
    out = tmp_path / "mean"
    done = run(
        "average", f"{others[1]}=0.5", odd, "--data", tiny_data, "--out", out,
        "--cache", tmp_path / "cache", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    made = read_design(out).provenance
    assert made["scores"] == scores
    assert scores["dev"]["greedy"]["images"] == 8
    assert [part["share"] for part in made["averaged"]] == [0.3333, 0.6667]
    record = Record.of_run(out)
    assert record.commands[0] == "edgecap train --out first"
    assert record.commands[-1].startswith("edgecap")
    assert len(set(record.commands)) == len(record.commands)
    # A file keeps the commands, and not all that is known of each run before.
    carried = TrainedCaptioner.load(out).source().provenance
    assert carried["commands"] == record.commands
    assert carried["data"] == made["data"]
    assert not {"averaged", "begun_from", "teachers"} & set(carried)
    rows = json.loads(run("runs", out, "--json").stdout)
    assert rows[0]["averaged"] == {"times-2": 0.3333, "b=3": 0.6667}
    # What its runs have in common is counted once.
    planned = [read_design(each).provenance["training"]["epochs"] for each in (others[1], odd)]
    assert rows[0]["epochs"] == {"words": max(planned)}
    again = run("average", others[0], odd, "--data", tiny_data, "--out", out)
    assert again.exit_code == 2
    assert "holds a run already" in again.output


def test_what_can_not_be_averaged_is_refused(others: list[Path], tmp_path: Path) -> None:
    first, second, _ = others
    with pytest.raises(OptionError, match="give two or more"):
        average_runs([(first, 1)])
    with pytest.raises(OptionError, match="is given twice"):
        average_runs([(first, 1), (first, 2)])
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="give a number above 0"):
            average_runs([(first, 1), (second, weight)])
    other = save_with_other_words(first, tmp_path / "other")
    with pytest.raises(OptionError, match="has another vocabulary than"):
        average_runs([(first, 1), (other, 1)])


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("=much", "'much' as the weight"), ("=0", "give a number above 0"), ("x", "neither a folder")],
)
def test_command_says_what_is_wrong(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, word: str, sentence: str
) -> None:
    done = run(
        "average", tiny_run, f"{tiny_run}{word}", "--data", tiny_data, "--out", tmp_path / "mean"
    )
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.split())
    assert not (tmp_path / "mean").exists()
