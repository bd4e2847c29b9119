"""The commands, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgecap.cli import main

from .conftest import TINY_SETTINGS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def settings() -> list[str]:
    return [word for setting in TINY_SETTINGS for word in ("--set", setting)]


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that the train command made."""
    folder = tmp_path_factory.mktemp("runs")
    done = run(
        "train", "--data", tiny_data, "--out", folder / "tiny", "--encoder-weights", tiny_weights,
        "--minimum-count", 1, "--epochs", 30, "--set", "training.patience=30",
        "--cache", folder / "cache", *settings(),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "BLEU-4" in done.output
    assert "corpus BLEU" in done.output
    assert "sentence" in done.output
    return folder / "tiny"


@pytest.fixture(scope="module")
def exported(trained: Path, tiny_data: Path) -> Path:
    """The run as a .tflite file."""
    path = trained.parent / "tiny.tflite"
    done = run("export", trained, "-o", path, "--data", tiny_data, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["parity"]["verdict"] == "checked on 8 images"
    assert report["parity"]["token_exact_beam"] == 1
    assert report["parity"]["distinct"] > 1
    assert report["parity"]["scores"]["greedy"]["difference"] == 0
    return path


def test_train_leaves_a_whole_run(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names >= {
        "run.json", "vocabulary.txt", "encoder.weights.h5", "decoder.weights.h5",
        "checkpoint.npz", "history.csv", "curve.png",
    }  # fmt: skip
    record = json.loads((trained / "run.json").read_text())
    assert record["provenance"]["scores"]["dev"]["greedy"]["images"] == 8
    assert not list(trained.glob("*.partial*"))


def test_train_does_not_overwrite_a_training(trained: Path, tiny_data: Path) -> None:
    done = run("train", "--data", tiny_data, "--out", trained)
    assert done.exit_code == 2
    assert "--resume" in done.stderr
    assert done.stderr.count("\n") == 1


def test_evaluate_gives_a_run_and_its_file_the_same_scores(
    trained: Path, exported: Path, tiny_data: Path, tmp_path: Path
) -> None:
    answers = []
    for captioner in (trained, exported):
        done = run(
            "evaluate", captioner, "--data", tiny_data, "--json", "--cache", tmp_path / "cache",
            "--captions", tmp_path / "said.jsonl",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        answers.append(json.loads(done.stdout))
    assert answers[0]["greedy"] == answers[1]["greedy"]
    assert answers[0]["beam 3"] == answers[1]["beam 3"]
    assert answers[0]["greedy"]["images"] == 8
    lines = (tmp_path / "said.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert set(json.loads(lines[0])) == {"image", "greedy", "beam 3"}
    table = run("evaluate", exported, "--data", tiny_data, "--beam", 2)
    assert "beam 2" in table.output


def test_caption_and_show_are_the_runtimes_own(exported: Path, tiny_data: Path) -> None:
    done = run("caption", exported, tiny_data / "images" / "000_red.jpg", "--beam", 2, "--json")
    assert done.exit_code == 0, done.output
    assert "red" in json.loads(done.stdout)[0]["words"]
    shown = run("show", exported)
    assert "checked on 8" in shown.output
    assert "float32" in shown.output


def test_export_in_lines_for_people(trained: Path, tiny_data: Path, tmp_path: Path) -> None:
    done = run(
        "export", trained, "-o", tmp_path / "a.onnx", "--quantize", "dynamic-int8",
        "--photos", tiny_data / "images", "--images", 12,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "checked on 12" in done.output
    assert "int8" in done.output


def test_models_lists_what_is_in_the_box() -> None:
    done = run("models", "--json")
    assert done.exit_code == 0, done.output
    for row in json.loads(done.stdout):
        assert row["licence"]
        assert row["dev"]


def test_publish_halves_a_run_that_says_the_same(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    card = tmp_path / "card.md"
    card.write_text("# tiny\n")
    out = tmp_path / "shipped"
    done = run("publish", trained, "-o", out, "--licence", "CC0-1.0", "--card", card)
    assert done.exit_code == 0, done.output
    assert (out / "README.md").read_text() == "# tiny\n"
    whole = sum((trained / f"{part}.weights.h5").stat().st_size for part in ("encoder", "decoder"))
    half = sum((out / f"{part}.weights.h5").stat().st_size for part in ("encoder", "decoder"))
    # Most of a tiny file is the layers' names.
    assert half < 0.9 * whole
    record = (out / "run.json").read_text()
    assert str(tiny_data.parent) not in record
    assert json.loads(record)["provenance"]["weights"] == "rounded to float16"
    scores = json.loads(
        run("evaluate", out, "--data", tiny_data, "--json", "--cache", tmp_path / "c").stdout
    )
    assert scores["greedy"]["corpus_bleu"][0] > 70
    again = run("publish", trained, "-o", out, "--licence", "CC0-1.0")
    assert again.exit_code == 2


def test_demo_shows_every_target(trained: Path, tmp_path: Path) -> None:
    from PIL import Image

    done = run("demo", trained, "-o", tmp_path / "demo", "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert [row["target"] for row in shown["targets"]] == [
        "tflite float32", "tflite dynamic-int8", "onnx float32", "onnx dynamic-int8",
    ]  # fmt: skip
    for row in shown["targets"]:
        assert row["encoder_ms"] > 0
        assert row["word_ms"] > 0
        assert row["export"]["parity"]["images"] == shown["photos"]
        assert row["export"]["parity"]["token_exact_beam"] > 0.8
    with Image.open(shown["picture"]) as picture:
        assert picture.width > 800
    assert len(list((tmp_path / "demo").iterdir())) == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "--data", "nowhere", "--out", "x"), "nowhere"),
        (
            ("train", "--data", ".", "--out", "x", "--encoder", "vgg"),
            "choose one of: inception_v3, mobilenet",
        ),
        (("train", "--data", ".", "--out", "x", "--decoder", "gru"), "choose one of: lstm"),
        (("train", "--data", ".", "--out", "x", "--resume"), "no checkpoint"),
        (("evaluate", "nowhere", "--data", "DATA"), "neither a folder nor a name"),
        (("evaluate", "EXPORTED", "--data", "DATA", "--split", "train2"), "no split 'train2'"),
        (("evaluate", "EXPORTED", "--data", "DATA", "--beam", "0"), "beam is 0"),
        (("export", "RUN", "-o", "x.pb"), ".tflite"),
        (("export", "RUN", "-o", "x.onnx", "--quantize", "int2"), "dynamic-int8"),
        (("export", "RUN", "-o", "no/such/folder/x.onnx"), "folder"),
        (("export", "RUN", "-o", "x.onnx", "--data", "DATA", "--photos", "DATA"), "choose one"),
        (("caption", "EXPORTED", "nowhere.jpg"), "nowhere.jpg"),
        (("caption", "nowhere.tflite", "x.jpg"), "nowhere.tflite"),
        (("caption", "EXPORTED", "x.jpg", "--beam", "wide"), "--beam is 'wide'"),
        (("show", "DATA"), ""),
        (("show", "mobilenet-lstm"), "edgecap export mobilenet-lstm"),
        (("caption", "RUN", "x.jpg"), "Keras form"),
        (("publish", "nowhere", "-o", "x", "--licence", "x"), "neither a folder nor a name"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    arguments: tuple[str, ...],
    sentence: str,
    trained: Path,
    exported: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {"RUN": trained, "EXPORTED": exported, "DATA": tiny_data}
    done = run(*(known.get(argument, argument) for argument in arguments))
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    complaints = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaints) == 1
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_weights_that_do_not_fit_are_named(tiny_data: Path, trained: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.weights.h5"
    shutil.copy(trained / "decoder.weights.h5", wrong)
    for weights, sentence in ((wrong, "don't fit"), (tmp_path / "none.h5", "no encoder weights")):
        done = run(
            "train", "--data", tiny_data, "--out", tmp_path / "run", "--minimum-count", 1,
            "--encoder-weights", weights, *settings(),
        )  # fmt: skip
        assert done.exit_code == 2
        assert sentence in done.stderr


def test_a_damaged_run_is_named(trained: Path, tiny_data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "decoder.weights.h5").write_bytes(b"not hdf5")
    done = run("evaluate", broken, "--data", tiny_data)
    assert done.exit_code == 2
    assert "decoder.weights.h5" in done.stderr
    (broken / "run.json").write_text("{")
    done = run("export", broken, "-o", tmp_path / "x.tflite")
    assert done.exit_code == 2
    assert "damaged" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("train", "import", "evaluate", "export", "caption", "show", "models", "publish"),
        *("demo", "bench"),
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 5
