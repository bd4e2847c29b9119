"""Captioners that differ by their seeds alone are put side by side, and no others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecap.cards.tables import seed_table
from edgecap.cli import main
from edgecap.record import Record, read_record, write_record
from edgecap.seeds import seed_name, seed_names, with_other_seeds
from edgecap_runtime.errors import OptionError

Maker = Callable[..., Path]


@pytest.fixture
def like(tiny_run: Path, tmp_path: Path) -> Maker:
    """Copies the tiny run with other words in its record; a path of keys each."""

    def make(name: str, **changes: Any) -> Path:
        shutil.copytree(tiny_run, tmp_path / name)
        record = json.loads((tmp_path / name / "run.json").read_text())
        for keys, value in changes.items():
            *path, last = keys.split("__")
            place = record
            for key in path:
                place = place[key]
            if value is None:
                del place[last]
            else:
                place[last] = value
        (tmp_path / name / "run.json").write_text(json.dumps(record))
        return tmp_path / name

    return make


def made(folder: Path, command: str, **more: Any) -> dict[str, Any]:
    """What a later training keeps of this run, with another command."""
    kept = Record.of_run(folder).provenance
    return {"name": folder.name, **kept, "command": command, **more}


def seeds(folder: Path, *others: Path) -> list[Any]:
    return [each["seed"] for each in with_other_seeds(Record.of_run(folder), others).seeds]


def test_a_training_by_several_seeds(like: Maker, tiny_run: Path) -> None:
    three, four = (like(f"s{n}", provenance__training__seed=n) for n in (3, 4))
    record = with_other_seeds(Record.of_run(tiny_run), [three, four])
    assert [each["seed"] for each in record.seeds] == [[0], [3], [4]]
    assert record.seeds[0]["dev"] == record.provenance["scores"]["dev"]
    assert with_other_seeds(record, []).seeds == ()


def test_the_same_seed_and_other_settings_are_refused(like: Maker, tiny_run: Path) -> None:
    with pytest.raises(OptionError, match=r"'.*same' has the same seed, 0, as one before it;"):
        seeds(tiny_run, like("same"))
    twice = like("twice", provenance__training__seed=3)
    with pytest.raises(OptionError, match="has the same seed, 3, as one before it"):
        seeds(tiny_run, twice, twice)
    changes: list[dict[str, Any]] = [
        {"decoder__units": 99},
        {"encoder__size": 64},
        {"provenance__data": "another"},
        {"provenance__training__label_smoothing": 0.5},
        {"provenance__begun_from": made(tiny_run, "before")},
        {"provenance__teachers": [made(tiny_run, "before")]},
    ]
    for place, change in enumerate(changes):
        other = like(f"other{place}", provenance__training__seed=3, **change)
        with pytest.raises(OptionError, match="differs in more than its seed"):
            seeds(tiny_run, other)


def test_a_training_of_before_a_setting_was_there_has_it_by_default(
    like: Maker, tiny_run: Path
) -> None:
    old = like(
        "old",
        provenance__training__seed=3,
        provenance__training__reward_unlike=None,
        encoder__pooling=None,
    )
    assert seeds(tiny_run, old) == [[0], [3]]
    assert seeds(old, tiny_run) == [[3], [0]]


def test_a_captioner_of_several_trainings_has_the_seeds_of_all(like: Maker, tiny_run: Path) -> None:
    first, second = (like(f"s{n}", provenance__training__seed=n) for n in (1, 2))

    def tuned(name: str, before: Path, seed: int) -> Path:
        return like(
            name,
            provenance__begun_from=made(before, f"train {before.name}"),
            provenance__training__seed=seed,
            provenance__command=f"train {name}",
        )

    whole, last = tuned("whole", first, 1), tuned("last", second, 1)
    assert seeds(whole, last) == [[1, 1], [2, 1]]
    assert [seed_name(each) for each in seeds(whole, last)] == ["1", "2, 1"]

    def mean(name: str, *parts: tuple[Path, float]) -> Path:
        averaged = [made(part, f"train {part.name}", share=share) for part, share in parts]
        return like(name, provenance__averaged=averaged, provenance__training=None)

    one, other = mean("one", (first, 0.5), (whole, 0.5)), mean("other", (second, 0.5), (last, 0.5))
    assert seeds(one, other) == [[1, 1], [2, 1]]
    with pytest.raises(OptionError, match="differs in more than its seed"):
        seeds(one, mean("shares", (second, 0.4), (last, 0.6)))


def test_how_seeds_scatter_by_hand() -> None:
    def scored(seed: int, bleu: float, **more: float) -> dict[str, Any]:
        figures = {"corpus_bleu": [bleu, bleu - 10, 30.0, 20.0], **more}
        return {"seed": [seed], "dev": {"greedy": figures}}

    def rows(*several: dict[str, Any]) -> list[list[str]]:
        return seed_table(Record("x", {}, {}, {}, None, {}, seeds=several))[1]

    with_cider = [scored(1, 62, cider_d=0.4), scored(2, 64, cider_d=0.5)]
    assert rows(*with_cider)[-1][-1] == "0.450 ± 0.071"
    # One that was trained before CIDEr-D was kept; another has its own search beside.
    several = [scored(0, 60), *with_cider]
    several[1]["dev"]["beam 3"] = several[1]["dev"]["greedy"]
    found = rows(*several)
    assert [row[0] for row in found] == ["0", "1", "2", "mean ± sd"]
    assert [row[-1] for row in found] == ["-", "0.400", "0.500", "-"]
    assert found[-1][2:5] == ["62.0 ± 2.0", "52.0 ± 2.0", "30.0 ± 0.0"]


def test_card_puts_the_seeds_of_a_record_side_by_side(
    like: Maker, tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    write_record(Record.of_run(tiny_run), folder)
    other = like("other", provenance__training__seed=5)
    done = CliRunner().invoke(main, ["card", str(folder), "--other-seed", str(other)])
    assert done.exit_code == 0, done.output
    assert [each["seed"] for each in read_record(folder).seeds] == [[0], [5]]
    card = (folder / "README.md").read_text()
    assert "by several seeds" in card
    assert "| 5 | greedy |" in card
    done = CliRunner().invoke(main, ["card", str(folder), "--other-seed", str(tiny_run)])
    assert done.exit_code != 0
    assert "has the same seed" in done.output


@pytest.mark.parametrize(
    ("several", "names"),
    [
        ([[1, 0, 1], [0, 0, 0], [2, 0, 2]], ["1", "0", "2"]),
        ([[1, 0, 1], [1, 0, 2]], ["1", "2"]),
        ([[1, 2, 5], [2, 1, 5]], ["1, 2", "2, 1"]),
        ([[3, 4]], ["3, 4"]),
        ([[3, 3], [3, 3, 4]], ["3", "3, 3, 4"]),
        ([7, [1]], ["7", "1"]),
        ([None], ["None"]),
    ],
)
def test_seeds_are_named_by_the_trainings_in_which_they_differ(
    several: list[Any], names: list[str]
) -> None:
    assert seed_names(several) == names
