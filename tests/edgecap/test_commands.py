"""The commands, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgecap.box import sample_photos
from edgecap.captioner import read_design
from edgecap.cli import main
from edgecap_export import Gate, recipe_named, recipe_names, recipes
from edgecap_runtime.bundle import read_manifest

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


def test_export_puts_the_search_into_the_file(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.tflite"
    done = run("export", trained, "-o", path, "--data", tiny_data, "--one-call")
    assert done.exit_code == 0, done.output
    assert "one call from image to ids: 100.0% of the captions are those that" in done.stdout
    one_call = read_manifest(path).one_call
    assert one_call is not None
    assert one_call.max_words == read_manifest(path).defaults.max_words
    shown = run("show", path)
    assert "one call:\n  search: greedy\n" in shown.output
    for option in ("--one-call", "--no-search"):
        refused = run(
            "export", trained, "-o", path, "--data", tiny_data, option, "--quantize", "auto"
        )
        assert refused.exit_code == 2
        assert f"{option} is for one recipe" in refused.stderr


def test_export_leaves_the_search_out_where_asked(
    exported: Path, trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    assert read_manifest(exported).greedy is not None
    path = tmp_path / "tiny.tflite"
    done = run("export", trained, "-o", path, "--data", tiny_data, "--no-search")
    assert done.exit_code == 0, done.output
    assert "search inside" not in done.stdout
    assert read_manifest(path).greedy is None
    refused = run("export", trained, "-o", path, "--no-search", "--one-call")
    assert refused.exit_code == 2
    assert "leave one of them out" in refused.stderr


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
    assert answers[0]["beam 3 minus greedy"] == answers[1]["beam 3 minus greedy"]
    limits = answers[0]["greedy"]["faults"]["limits"]
    assert limits["at_the_limit"] == {"value": 0, "at_most": 0.005, "holds": True}
    assert answers[0]["greedy"]["meteor_exact_stem"] > 20
    lines = (tmp_path / "said.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert set(json.loads(lines[0])) == {"image", "greedy", "beam 3"}
    table = run("evaluate", exported, "--data", tiny_data, "--beam", 2)
    for shown in (
        "beam 2",
        "METEOR (exact+stem)",
        "CIDEr-D",
        "double a word",
        "0.0 % (≤ 0.5 %) holds",
    ):
        assert shown in table.output
    both = run("evaluate", exported, "--data", tiny_data)
    assert "beam 3 minus greedy" in both.output


def test_evaluate_compares_several_and_draws_a_page(
    trained: Path, exported: Path, tiny_data: Path, tmp_path: Path
) -> None:
    page, said = tmp_path / "page.html", tmp_path / "said.jsonl"
    done = run(
        "evaluate", exported, trained, "--data", tiny_data, "--beam", 2, "--json",
        "--html", page, "--captions", said, "--cache", tmp_path / "cache",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    one, other = json.loads(done.stdout)
    assert one["beam 2"] == other["beam 2"]
    apart = other["beam 2 minus tiny.tflite"]
    assert (apart["cider_d"]["difference"], apart["cider_d"]["p"]) == (0, 1)
    assert "beam 2 minus tiny.tflite" not in one
    assert f"written: {page}" in done.stderr
    text = page.read_text("utf-8")
    assert text.count("<article ") == text.count("data:image/jpeg;base64,") == 8
    assert f"{one['beam 2']['cider_d']:.3f}" in text
    lines = said.read_text().splitlines()
    assert set(json.loads(lines[0])) == {"image", "tiny.tflite, beam 2", "tiny, beam 2"}
    table = run("evaluate", exported, trained, "--data", tiny_data, "--beam", 1)
    assert "tiny: greedy minus tiny.tflite" in table.output


def test_caption_and_show_are_the_runtimes_own(exported: Path, tiny_data: Path) -> None:
    done = run("caption", exported, tiny_data / "images" / "000_red.jpg", "--beam", 2, "--json")
    assert done.exit_code == 0, done.output
    assert "red" in json.loads(done.stdout)[0]["words"]
    shown = run("show", exported)
    assert "checked on 8" in shown.output
    assert "float32" in shown.output


def test_caption_and_show_take_a_name_and_export_it_once(
    trained: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    in_the_box = tmp_path / "box" / "tiny"
    shutil.copytree(trained, in_the_box)
    monkeypatch.setattr("edgecap.box.captioners", lambda: {"tiny": in_the_box})
    monkeypatch.chdir(tmp_path)
    photo = tiny_data / "images" / "000_red.jpg"

    def caption(*options: str) -> list[Path]:
        done = run("caption", "--beam", 2, "tiny", photo, "--json", *options)
        assert done.exit_code == 0, done.output
        assert "red" in json.loads(done.stdout)[0]["words"]
        said = "tiny was exported to" in done.stderr
        made = set((tmp_path / "cache" / "edgecap" / "captioners").iterdir())
        assert said == bool(made - known)
        known.update(made)
        return sorted(known)

    known: set[Path] = set()
    assert len(caption()) == 1
    assert len(caption()) == 1
    assert len(caption("--quantize", "dynamic-int8")) == 2
    shown = run("show", "tiny")
    assert f"file: {caption()[1]}" in shown.output
    assert "checked on 14" in shown.output
    assert len(known) == 2
    # Another captioner under the same name is another file.
    record = json.loads((in_the_box / "run.json").read_text())
    (in_the_box / "run.json").write_text(json.dumps({**record, "name": "tinier"}))
    assert len(caption()) == 3
    # A run of that name goes before the box, and a file before both.
    shutil.copytree(trained, tmp_path / "tiny")
    assert len(caption()) == 3
    assert json.loads(run("show", "tiny", "--json").stdout)["name"] != "tinier"
    shutil.rmtree(tmp_path / "tiny")
    shutil.copy(caption()[0], tmp_path / "tiny")
    assert run("show", "tiny").output.startswith("file: tiny (")


def test_export_in_lines_for_people(trained: Path, tiny_data: Path, tmp_path: Path) -> None:
    done = run(
        "export", trained, "-o", tmp_path / "a.onnx", "--quantize", "dynamic-int8",
        "--photos", tiny_data / "images", "--images", 12,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "checked on 12" in done.output
    assert "int8" in done.output


@pytest.fixture
def loose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A static-int8 that lets the tiny captioner pass: it knows four captions, each very surely."""
    gate = Gate(identical=0.5, log_probability=5, quantile=0.99)
    monkeypatch.setitem(
        recipes._RECIPES, "static-int8", recipe_named("static-int8").changed(gate=gate)
    )


@pytest.mark.usefixtures("loose")
def test_export_calibrates_on_a_folder_and_changes_the_recipe(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(tiny_data / "images", photos)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    path = tmp_path / "a.tflite"
    done = run(
        "export", trained, "-o", path, "--quantize", "static-int8", "--calibrate", photos,
        "--calibration-images", 33, "--seed", 5, "--keep-float", "conv1, conv_dw_1",
        "--keep-float", "conv_pw_1", "--ranges", "percentile", "--no-bias-correction",
        "--photos", tiny_data / "images", "--images", 12,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"calibrated on 32 of the photographs in {photos}, seed 5" in done.stdout
    assert "int8" in done.stdout
    assert "left out of the calibration: " in done.stderr
    assert "broken.jpg" in done.stderr
    made = read_manifest(path).source["quantization"]
    # The last one by itself: it is delicate in a narrow MobileNet.
    kept = ["conv1", "conv_dw_1", "conv_pw_1", "conv_dw_2"]
    assert made["recipe"]["keep_float"] == kept
    assert made["recipe"]["ranges"] == "percentile"
    assert made["recipe"]["bias_correction"] is False
    assert made["calibration"]["seed"] == 5
    assert len(made["calibration"]["names"]) == 32
    shown = run("show", path)
    assert "calibration: 32 photographs, seed 5" in shown.output
    assert f"kept in float32: {', '.join(kept)}" in shown.output


@pytest.mark.parametrize("processor", ["any", "vnni"])
def test_export_writes_which_processor_a_file_is_for(
    processor: str, trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.onnx"
    own = tmp_path / "mine.toml"
    own.write_text('base = "static-int8"\n[gate]\nidentical = 0.1\nlog_probability = 9\n')
    done = run(
        "export", trained, "-o", path, "--quantize", own, "--calibrate", "samples",
        *(("--processor", processor) if processor != "any" else ()),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    manifest = read_manifest(path)
    assert manifest.processor == processor
    assert manifest.source["quantization"]["recipe"]["processor"] == processor
    assert f"\nprocessor: {processor}" in run("show", path).output
    checked = run("check", path)
    assert checked.exit_code == 0, checked.output
    careful = "its 8-bit products could overflow on x86 without VNNI, where slower ones are taken"
    assert (careful in " ".join(checked.output.split())) == (processor == "vnni")


def test_export_calibrates_on_the_samples_which_are_named(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    own = tmp_path / "mine.toml"
    own.write_text('base = "static-int8"\n[gate]\nidentical = 0.1\nlog_probability = 9\n')
    done = run("export", trained, "-o", path, "--quantize", own, "--calibrate", "samples")
    assert done.exit_code == 0, done.output
    # Four of them are those that the file carries.
    assert "calibrated on 10 of the 14 sample photographs in the box, seed 0" in done.stdout
    said = " ".join(done.stderr.split())
    assert "10 of the photographs that Keras is compared on are calibrated on too" in said
    carried = [photo.name for photo in sample_photos()[:4]]
    assert f"{', '.join(carried)}, by which the file checks itself" in said
    assert ": TFLite, mine, " in done.stdout
    manifest = read_manifest(path)
    assert manifest.check is not None
    assert [picture.name for picture in manifest.check.pictures] == carried
    assert not set(carried) & set(manifest.source["quantization"]["calibration"]["names"])
    assert manifest.recipe == "mine"
    assert manifest.parity is not None
    assert manifest.parity["gate"]["identical"] == 0.1


def test_export_takes_the_pictures_of_a_folder(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    images = sorted((tiny_data / "images").iterdir())
    folder = tmp_path / "own"
    folder.mkdir()
    # The first two are proven on as well, by another name.
    for place, photo in enumerate(sample_photos()[:7]):
        (folder / f"{place}.jpg").write_bytes(photo.read_bytes())
    for place, photo in enumerate(images[-2:]):
        (folder / f"{place}-dev.jpg").write_bytes(photo.read_bytes())
    path = tmp_path / "tiny.tflite"
    command = ("export", trained, "-o", path, "--data", tiny_data, "--check-photos", folder)
    done = run(*command)
    assert done.exit_code == 0, done.output
    check = read_manifest(path).check
    assert check is not None
    assert [picture.name for picture in check.pictures] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    said = " ".join(done.stderr.split())
    assert "whoever gets the file can see small pictures of 0.jpg, 1.jpg, 2.jpg, 3.jpg" in said
    checked = run("check", path)
    assert checked.exit_code == 0, checked.output
    assert "this machine says what the exporting one said: 4 of 4 captions" in checked.output
    for place in range(4):
        (folder / f"{place}.jpg").unlink()
    refused = run(*command)
    assert refused.exit_code == 2
    assert "has 3 photographs to take, 2 more are calibrated or proven on; give" in refused.stderr


@pytest.mark.usefixtures("loose")
def test_export_calibrates_on_the_train_split_of_data(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    done = run(
        "export", trained, "-o", tmp_path / "a.tflite", "--quantize", "static-int8",
        "--data", tiny_data, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    train = (tiny_data / "Flickr_8k.trainImages.txt").read_text().split()
    assert report["parity"]["images"] == 8
    assert sorted(report["calibration"]["names"]) == sorted(train)
    assert report["inspection"]["weight_shares"]["encoder"]["int8"] > 0.9


def test_recipes_are_listed() -> None:
    done = run("recipes")
    assert done.exit_code == 0, done.output
    for name in recipe_names():
        assert f"{name}: {recipe_named(name).description}" in done.output
    listed = json.loads(run("recipes", "--json").stdout)
    assert [item["name"] for item in listed] == list(recipe_names())
    for item in listed:
        assert item["calibrated"] is recipe_named(item["name"]).calibrated
        assert item["encoder"] == recipe_named(item["name"]).encoder


def test_publish_halves_a_run_that_says_the_same(
    trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shipped"
    done = run("publish", trained, "-o", out, "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    whole = sum((trained / f"{part}.weights.h5").stat().st_size for part in ("encoder", "decoder"))
    half = sum((out / f"{part}.weights.h5").stat().st_size for part in ("encoder", "decoder"))
    # Most of a tiny file is the layers' names.
    assert half < 0.9 * whole
    record = (out / "run.json").read_text()
    assert str(tiny_data.parent) not in record
    run_json = json.loads((trained / "run.json").read_text())
    made = run_json["provenance"]
    before = {"command": "edgecap train --out /a/b/words", "begun_from": {"command": "x /c/d"}}
    made |= {"begun_from": before, "teachers": [{"command": "edgecap train --from /e/f"}]}
    shutil.copytree(trained, tmp_path / "on")
    (tmp_path / "on" / "run.json").write_text(json.dumps(run_json))
    done = run("publish", tmp_path / "on", "-o", tmp_path / "short", "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    short = read_design(tmp_path / "short").provenance
    assert short["begun_from"]["command"] == "edgecap train --out words"
    assert short["begun_from"]["begun_from"]["command"] == "x d"
    assert short["teachers"][0]["command"] == "edgecap train --from f"
    assert json.loads(record)["provenance"]["weights"] == "rounded to float16"
    scores = json.loads(
        run("evaluate", out, "--data", tiny_data, "--json", "--cache", tmp_path / "c").stdout
    )
    assert scores["greedy"]["corpus_bleu"][0] > 70
    again = run("publish", trained, "-o", out, "--licence", "CC0-1.0")
    assert again.exit_code == 2


@pytest.mark.usefixtures("loose")
def test_demo_shows_every_target(trained: Path, tmp_path: Path) -> None:
    from PIL import Image

    done = run("demo", trained, "-o", tmp_path / "demo", "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert [row["target"] for row in shown["targets"]] == [
        "tflite float32", "tflite dynamic-int8", "tflite static-int8",
        "onnx float32", "onnx dynamic-int8", "onnx static-int8",
    ]  # fmt: skip
    for row in shown["targets"]:
        calibrated = row["target"].endswith("static-int8")
        assert (row["export"]["calibration"] is not None) == calibrated
        assert row["encoder_ms"] > 0
        assert row["word_ms"] > 0
        assert row["export"]["parity"]["images"] == shown["photos"]
        assert row["export"]["parity"]["token_exact_beam"] > (0.5 if calibrated else 0.8)
    with Image.open(shown["picture"]) as picture:
        assert picture.width > 800
    assert len(list((tmp_path / "demo").iterdir())) == 7


def with_gate(monkeypatch: pytest.MonkeyPatch, name: str, bound: float) -> None:
    """Let a recipe's log-probabilities differ from Keras' by this much at most."""
    gate = Gate(identical=0, log_probability=bound, quantile=1)
    monkeypatch.setitem(recipes._RECIPES, name, recipe_named(name).changed(gate=gate))


@pytest.mark.usefixtures("loose")
def test_demo_goes_on_without_a_refused_target(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("float32", "dynamic-int8", "static-int8")
    monkeypatch.setattr("edgecap.targets.TARGETS", tuple(("tflite", name) for name in names))
    with_gate(monkeypatch, "dynamic-int8", 0)
    out = tmp_path / "demo"
    out.mkdir()
    (out / "captioner-dynamic-int8.tflite").write_bytes(b"of an earlier demo")
    done = run("demo", trained, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    held, refused, static = shown["targets"]
    assert refused["target"] == "tflite dynamic-int8"
    assert (refused["export"], refused["encoder_ms"], refused["word_ms"]) == (None, None, None)
    assert "difference of log probabilities" in refused["refused"]["reason"]
    assert "choose another recipe, such as float32" in refused["refused"]["reason"]
    assert refused["refused"]["parity"]["verdict"] == "failed"
    assert refused["refused"]["parity"]["images"] == shown["photos"]
    for row in (held, static):
        assert row["refused"] is None
        assert row["encoder_ms"] > 0
        assert row["export"]["parity"]["verdict"] == "checked on 14 images"
    for said in shown["captions"].values():
        assert list(said) == ["tflite float32", "tflite static-int8"]
    assert sorted(path.name for path in out.iterdir()) == [
        "captioner-float32.tflite", "captioner-static-int8.tflite", "captions.png",
    ]  # fmt: skip


def test_demo_in_which_nothing_holds_is_told_and_fails(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecap.targets.TARGETS", (("tflite", "float32"),))
    with_gate(monkeypatch, "float32", 0)
    done = run("demo", trained, "-o", tmp_path / "demo")
    assert done.exit_code == 2
    said = " ".join(done.stdout.split())
    assert "tflite float32 is refused: captioner-float32.tflite does not say what the Keras" in said
    assert "choose the other format" in said
    assert "refused: tflite float32 (--data proves it on 100 or more)" in said
    assert "picture" not in said
    assert "error: a float32 target" in done.stderr
    assert list((tmp_path / "demo").iterdir()) == []


@pytest.mark.usefixtures("loose")
def test_demo_says_what_it_calibrated_on(
    trained: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecap.targets.TARGETS", (("tflite", "static-int8"),))
    done = run("demo", trained, "-o", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert (
        "static-int8: calibrated on 10 of the 14 sample photographs in the box, seed 0; give "
        "--data for better"
    ) in said
    done = run("demo", trained, "-o", tmp_path / "demo", "--data", tiny_data)
    assert done.exit_code == 0, done.output
    assert f"calibrated on 24 of the photographs of the train split of {tiny_data}" in done.stdout
    assert "for better" not in done.stdout


AUTO = ("export", "RUN", "-o", "x.tflite", "--quantize", "auto")
STATIC = ("export", "RUN", "-o", "x.tflite", "--quantize", "static-int8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "--data", "nowhere", "--out", "x"), "nowhere"),
        (
            ("train", "--data", ".", "--out", "x", "--encoder", "vgg"),
            "choose one of: inception_v3, mobilenet",
        ),
        (
            ("train", "--data", ".", "--out", "x", "--decoder", "gru"),
            "choose one of: attention-lstm, lstm",
        ),
        (("train", "--data", ".", "--out", "x", "--resume"), "no checkpoint"),
        (("train", "--data", "DATA", "--out", "x", "--from", "nowhere"), "nor a name"),
        (("train", "--data", "DATA", "--out", "x", "--teacher", "nowhere"), "nor a name"),
        (
            ("train", "--data", "DATA", "--out", "x", "--from", "nano", "--decoder", "lstm"),
            "has the decoder 'attention-lstm', not 'lstm'",
        ),
        (("evaluate", "nowhere", "--data", "DATA"), "neither a folder nor a name"),
        (("evaluate", "EXPORTED", "--data", "DATA", "--split", "train2"), "no split 'train2'"),
        (("evaluate", "EXPORTED", "--data", "DATA", "--beam", "0"), "beam is 0"),
        (("evaluate", "EXPORTED", "EXPORTED", "--data", "DATA"), "given twice"),
        (("export", "RUN", "-o", "x.pb"), ".tflite"),
        (("export", "RUN", "-o", "x.onnx", "--quantize", "int2"), "dynamic-int8"),
        (("export", "RUN", "-o", "no/such/folder/x.onnx"), "folder"),
        (("export", "RUN", "-o", "x.tflite", "--quantize", "small"), "--calibrate samples"),
        (("export", "RUN", "-o", "x.tflite", "--quantize", "no.toml"), "no.toml"),
        (("export", "RUN", "-o", "x.tflite", "--calibrate", "samples"), "is not calibrated"),
        (("export", "RUN", "-o", "x.tflite", "--ranges", "percentile"), "is not calibrated"),
        (("export", "RUN", "-o", "x.tflite", "--keep-float", "conv1"), "all of the encoder in"),
        (("export", "RUN", "-o", "x.tflite", "--all-blocks"), "all of the encoder in"),
        (("export", "RUN", "-o", "x.tflite", "--processor", "vnni"), "for .onnx files alone"),
        (("export", "RUN", "-o", "x.onnx", "--processor", "vnni"), "an encoder in static-int8"),
        ((*AUTO, "--data", "DATA", "--processor", "vnni"), "name a recipe"),
        (("export", "EXPORTED", "-o", "x.tflite"), "give the run that it was made from"),
        (("export", "RUN", "-o", "x.tflite", "--max-mb", "9"), "a budget of --quantize auto"),
        ((*AUTO, "--images", "9"), "give captioned photographs with --data"),
        ((*AUTO, "--data", "DATA", "--photos", "DATA"), "leave --photos out"),
        ((*AUTO, "--data", "DATA", "--keep-float", "conv1"), "name a recipe"),
        ((*AUTO, "--data", "DATA", "--all-blocks"), "name a recipe"),
        ((*AUTO, "--data", "DATA", "--max-mb", "0"), "--max-mb is 0"),
        ((*STATIC, "--calibrate", "nowhere"), "nowhere"),
        ((*STATIC, "--calibrate", "DATA"), "holds no photograph"),
        ((*STATIC, "--data", "DATA", "--split", "train"), "none are given"),
        ((*STATIC, "--calibrate", "samples", "--calibration-images", "5"), "on 5 photographs"),
        ((*STATIC, "--calibrate", "samples", "--keep-float", "conv9"), "no block 'conv9'"),
        (("export", "RUN", "-o", "x.onnx", "--data", "DATA", "--photos", "DATA"), "choose one"),
        (("caption", "EXPORTED", "nowhere.jpg"), "nowhere.jpg"),
        (("caption", "nowhere.tflite", "x.jpg"), "nowhere.tflite"),
        (("caption", "EXPORTED", "x.jpg", "--beam", "wide"), "--beam is 'wide'"),
        (
            ("caption", "mobilenet-lsm", "x.jpg"),
            "in the box: inception-attention, mobilenet-attention, mobilenet-lstm, nano",
        ),
        (("caption", "EXPORTED", "x.jpg", "--quantize", "small"), "is an exported file already"),
        (("caption", "RUN", "x.jpg", "--quantize", "int2"), "dynamic-int8"),
        (("show", "DATA"), "holds no run.json"),
        (("publish", "nowhere", "-o", "x", "--licence", "x"), "neither a folder nor a name"),
        (
            ("publish", "RUN", "-o", "x", "--licence", "x", "--other-seed", "RUN"),
            "has the same seed, 0",
        ),
        (("card", "nowhere"), "neither a folder nor a name"),
        (("card", "DATA"), "holds no run.json"),
        (("export", "inception-lstm", "-o", "x.tflite"), "make it by: edgecap train --data"),
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
        *("train", "import", "evaluate", "export", "recipes", "sensitivity", "caption", "show"),
        *("models", "publish", "card", "demo", "bench"),
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 5


def test_a_run_of_before_a_setting_is_one_with_its_default(trained: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(trained, before)
    record = json.loads((before / "run.json").read_text())
    del record["provenance"]["training"]["teaching"], record["encoder"]["pooling"]
    (before / "run.json").write_text(json.dumps(record))
    rows = json.loads(run("runs", before, trained, "--json").stdout)
    assert [row["differs"] for row in rows] == [{}, {}]


def test_runs_compares_trainings(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    record = json.loads((other / "run.json").read_text())
    made = record["provenance"]
    made["begun_from"] = {
        "name": "first",
        "training": {"epochs": 7, "tune_epochs": 2, "reward_epochs": 0},
        "scores": {"seconds": 600.0},
    }
    made["training"] |= {"word_dropout": 0.25, "seed": 9}
    made["scores"]["seconds"] = 60.0
    (other / "run.json").write_text(json.dumps(record))
    rows = json.loads(run("runs", trained, other, "--json").stdout)
    assert [row["run"] for row in rows] == [trained.name, "other"]
    assert rows[0]["differs"] == {}
    assert rows[1]["differs"] == {"training.word_dropout": 0.25}
    words = rows[0]["epochs"]["words"]
    assert rows[1]["epochs"] == {**rows[0]["epochs"], "words": words + 7, "encoder": 2}
    assert rows[1]["minutes"] == 11
    assert rows[1]["scores"] == made["scores"]["dev"]["greedy"]
    own = json.loads(run("runs", trained, "--default", "--json").stdout)
    assert own[0]["scores"] == made["scores"]["dev"]["beam 3"]
    table = run("runs", trained, other, "--markdown").stdout.splitlines()
    assert len(table) == 4
    assert "word_dropout 0.25" in table[-1]
    assert f"{rows[1]['scores']['cider_d']:.3f}" in table[-1]
    del made["scores"]
    (other / "run.json").write_text(json.dumps(record))
    done = run("runs", other)
    assert done.exit_code == 2
    assert "is not finished" in done.output
