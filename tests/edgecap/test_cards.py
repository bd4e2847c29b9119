"""Records and model cards: measured by the command, prose kept."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgecap.box import captioners, known_captioners, sample_photos
from edgecap.cards import card_page, write_card
from edgecap.cards.prose import sections_of
from edgecap.cli import main
from edgecap.metrics.mentions import mentions
from edgecap.record import Record, read_record
from edgecap_runtime.errors import EdgecapError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def published(tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run published with its record, of two targets to be quick, and notes."""
    folder = tmp_path_factory.mktemp("published")
    other = folder / "other"
    shutil.copytree(tiny_run, other)
    with_seed(other, 7)
    mine = folder / "run" / tiny_run.name
    shutil.copytree(tiny_run, mine)
    (mine / "history.csv").write_text("epoch,loss,dev_bleu4\n1,2.5,\n2,1.5,30.1\n")
    (folder / "mine.md").write_text(
        "What it is.\n\n## Known faults\n\nSees squares.\n\n## Thanks\n\nAll.\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        targets = (("tflite", "float32"), ("tflite", "static-int8"))
        patch.setattr("edgecap.targets.TARGETS", targets)
        done = run(
            "publish", mine, "-o", folder / "tiny", "--licence", "CC0-1.0",
            "--data", tiny_data, "--other-seed", other, "--notes", folder / "mine.md",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "tiny"


def with_seed(folder: Path, seed: int) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["provenance"]["training"]["seed"] = seed
    (folder / "run.json").write_text(json.dumps(record))


def test_publish_records_what_the_files_say(published: Path, tiny_data: Path) -> None:
    record = read_record(published)
    measured = record.measurement
    assert measured is not None
    assert (measured.data, measured.split, measured.images) == ("flickr8k", "dev", 8)
    assert measured.search == "beam 3"
    whole = measured.target("tflite", "float32")
    assert whole is not None
    assert whole.same == {"greedy": 1, "beam 3": 1}
    assert whole.scores == measured.keras
    assert whole.scores["greedy"]["faults"]["limits"]["end_open"]["holds"]
    assert whole.difference["greedy"]["corpus_bleu"][3]["difference"] == 0
    assert measured.target("onnx", "float32") is None
    assert measured.calibration["images"] == 24
    assert list(measured.samples) == [photo.name for photo in sample_photos()]
    assert all(len(said) == 2 for said in measured.samples.values())
    assert [each["seed"] for each in record.seeds] == [[0], [7]]
    assert [row["epoch"] for row in record.curve] == ["1", "2"]
    assert str(tiny_data.parent) not in (published / "record.json").read_text()
    # An evaluation of the same captioner says the same.
    shown = run("evaluate", published, "--data", tiny_data, "--json", "--beam", 1)
    assert json.loads(shown.stdout)["greedy"] == measured.keras["greedy"]


def test_the_card_has_the_record_and_the_prose(published: Path) -> None:
    card = (published / "README.md").read_text("utf-8")
    record = read_record(published)
    assert record.measurement is not None
    bleu = record.measurement.keras["beam 3"]["corpus_bleu"][3]
    rows = [line for line in card.splitlines() if line.startswith("| tflite static-int8")]
    assert len(rows) == 2
    assert f"{bleu:.1f}" in next(line for line in card.splitlines() if "| Keras | beam 3" in line)
    for photo in sample_photos():
        assert card.count(photo.name) == 1
    for said in (
        "What it is.",
        "Sees squares.",
        "## Thanks\n\nAll.",
        "CC0-1.0",
        "hold the unknown",
    ):
        assert said in card
    assert card.index("## Scores") < card.index("## Known faults") < card.index("## Thanks")
    assert "| 7 | greedy |" in card
    assert "| 2 | 1.5 | 30.1 |" in card
    assert "| 1 | 2.5 | - |" in card


def test_making_the_card_anew_keeps_what_was_written(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(published, folder)
    before = (folder / "README.md").read_text("utf-8")
    (folder / "README.md").unlink()
    assert run("card", folder).exit_code == 0
    assert (folder / "README.md").read_text("utf-8") == before
    notes = (folder / "notes.md").read_text("utf-8")
    (folder / "notes.md").write_text(notes.replace("squares", "circles"))
    assert run("card", folder).exit_code == 0
    assert (folder / "README.md").read_text("utf-8") == before.replace("squares", "circles")


def test_a_record_without_weights_is_known_by_its_command(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmp_path / "captioners"
    shutil.copytree(published, box / "tiny")
    done = run(
        "publish", published, "-o", box / "elsewhere", "--licence", "CC0-1.0", "--without-weights"
    )
    assert done.exit_code == 0, done.output
    assert {path.name for path in (box / "elsewhere").iterdir()} == {"record.json", "README.md"}
    card = (box / "elsewhere" / "README.md").read_text("utf-8")
    assert "Its weights are not here" in card
    assert "edgecap caption elsewhere" not in card
    shutil.copy(published / "record.json", box / "elsewhere" / "record.json")
    shutil.copytree(published, box / "bare")
    (box / "bare" / "record.json").unlink()
    monkeypatch.setattr("edgecap.box._inside", lambda name: tmp_path / name)
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert [rows[name]["in_the_box"] for name in ("tiny", "bare", "elsewhere")] == [1, 1, 0]
    assert list(rows) == ["bare", "tiny", "elsewhere"]
    record = read_record(published)
    assert record.measurement is not None
    for name in ("tiny", "elsewhere"):
        scores = rows[name]["scores"]["files"]["tflite float32"]["beam 3"]
        assert scores == record.measurement.keras["beam 3"]
        assert rows[name]["megabytes"]["tflite static-int8"] > 0
        assert rows[name]["licence"] == "CC0-1.0"
    assert rows["bare"]["scores"] is None
    done = run("models")
    assert f"{scores['cider_d']:.3f}" in done.stdout
    assert "elsewhere *" in done.stdout
    assert f"elsewhere: {record.provenance['command']}" in done.stdout
    assert "bare was not measured yet: edgecap card bare" in done.stderr


def test_a_record_takes_no_captioner_s_place_and_nothing_is_measured_for_it(
    published: Path, tmp_path: Path
) -> None:
    shutil.copytree(published, tmp_path / "tiny")
    before = {path: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    done = run(
        *("publish", published, "-o", tmp_path / "tiny", "--licence", "CC0-1.0"),
        # Measuring would end with another sentence: there is no such data.
        *("--without-weights", "--data", tmp_path / "nowhere"),
    )
    assert done.exit_code == 2
    assert "holds a captioner with its weights; choose another folder" in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "tiny").iterdir()} == before


def test_a_card_of_a_captioner_whose_search_is_greedy_scores_a_beam_too(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    greedy = tmp_path / "greedy"
    shutil.copytree(tiny_run, greedy)
    record = json.loads((greedy / "run.json").read_text())
    record["defaults"]["beam"] = 1
    (greedy / "run.json").write_text(json.dumps(record))
    with pytest.MonkeyPatch.context() as patch:
        targets = (("tflite", "float32"), ("tflite", "static-int8"))
        patch.setattr("edgecap.targets.TARGETS", targets)
        done = run("card", greedy, "--data", tiny_data)
    assert done.exit_code == 0, done.output
    measured = read_record(greedy).measurement
    assert measured is not None
    assert measured.search == "greedy"
    assert list(measured.keras) == ["greedy", "beam 3"]
    assert set(measured.targets[0].same) == {"greedy", "beam 3"}


def test_a_card_gives_every_command_in_order(published: Path, tmp_path: Path) -> None:
    words = {"name": "a", "command": "edgecap train --out words", "training": {"epochs": 9}}
    large = {"name": "b", "command": "edgecap train --out large", "training": {"epochs": 0}}
    made = {
        "command": "edgecap train --from words --teacher large --out last",
        "training": {"epochs": 0, "seed": 0},
        "begun_from": words,
        "teachers": [large],
    }
    record = dataclasses.replace(read_record(published), provenance=made)
    commands = [words["command"], large["command"], made["command"]]
    assert record.commands == commands
    write_card(record, tmp_path)
    card = (tmp_path / "README.md").read_text("utf-8")
    made_by = card[card.index("## Made by") :]
    assert [made_by.index(command) for command in commands] == sorted(
        made_by.index(command) for command in commands
    )
    assert "Command 1 differs from these in: epochs 9." in made_by
    assert "Command 2" not in made_by


def test_the_box_is_measured() -> None:
    """What `edgecap models` says of a captioner is of the weights that are there."""
    from edgecap.captioner import TrainedCaptioner

    for name, folder in captioners().items():
        record = read_record(folder)
        assert record.name == name
        assert record.measurement is not None
        assert record.measurement.images == 1000
        loaded = TrainedCaptioner.load(folder)
        assert record.measurement.weights_sha256 == loaded.weights_sha256
        card = (folder / "README.md").read_text("utf-8")
        assert f"# {name}\n" in card
        assert "](../../samples/" in card or 'src="../../samples/' in card
    for name, folder in known_captioners().items():
        row = read_record(folder)
        assert row.name == name
        *before, last = row.commands
        made_by = ("edgecap train --data ", "edgecap average ")
        assert all(command.startswith(made_by) for command in before)
        # A mean of runs is made of what trainings wrote.
        averaged = "averaged" in row.provenance
        assert last.startswith("edgecap average " if averaged else "edgecap train --data ")
        assert before or not averaged


def test_sections_are_taken_apart_at_their_headings() -> None:
    text = "Before.\n\n## One\n\nBody.\n\n### Below\n\nMore.\n\n## Empty\n\n## Two\nEnd."
    assert sections_of(text) == {"": "Before.", "One": "Body.\n\n### Below\n\nMore.", "Two": "End."}
    assert sections_of("") == {}


def test_a_card_of_little_is_short() -> None:
    record = Record("x", {"name": "mobilenet"}, {"name": "lstm"}, {}, None, {"data": "other"})
    card = card_page(record, {}, None)
    assert card.startswith("# x\n\nAn image captioner. Encoder: `mobilenet`; decoder: `lstm`.\n")
    assert "##" not in card


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"record_version": 1, "nonsense": 2}', '{"name": "x"}'):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(EdgecapError, match=r"record\.json.* can't be read"):
            read_record(tmp_path)
    (tmp_path / "record.json").write_text('{"record_version": 99}')
    with pytest.raises(EdgecapError, match="upgrade edgecap"):
        read_record(tmp_path)


def words(*captions: str) -> list[list[str]]:
    return [caption.split() for caption in captions]


def test_mentions_worked_by_hand() -> None:
    captions = words("two dogs run", "a man in a red shirt", "a woman sits", "a man and a woman")
    references = [
        words("three dogs run", "dogs on grass"),
        words("a woman in a red and blue shirt"),
        words("someone sits", "a man sits", "a girl sits"),
        words("people stand"),
    ]
    assert mentions(captions, references) == {
        "dogs": {"said": 1, "borne_out": 1},
        "men or boys": {"said": 2, "borne_out": 0},
        "women or girls": {"said": 2, "borne_out": 1},
        "a colour": {"said": 1, "borne_out": 1},
        "a number": {"said": 1, "borne_out": 0},
        "women called men": {"said": 1, "borne_out": 0},
        "men called women": {"said": 1, "borne_out": 1},
    }
    with pytest.raises(EdgecapError, match="no caption"):
        mentions([], [])
