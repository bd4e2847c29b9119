from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for name in ("b.jpg", "a.PNG", "c.webp"):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no photograph")
    return folder


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail; give its one sentence."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "Traceback" not in printed.err
    return lines[0]


def test_caption_a_folder(
    captioner_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", str(captioner_file), str(photos), "--beam", "1"]) == 0
    printed = capsys.readouterr()
    captioner = Captioner.load(captioner_file)
    expected = [
        f"{photos / name}: {captioner.caption(photos / name, beam=1).text}"
        for name in ("a.PNG", "b.jpg", "c.webp")
    ]
    assert printed.out.splitlines() == expected
    assert printed.err == ""


def test_a_caller_may_say_which_file_is_meant(
    captioner_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def find(name: str) -> str:
        asked.append(name)
        return str(captioner_file)

    assert main(["show", "a-name"], find=find) == 0
    assert capsys.readouterr().out.startswith(f"file: {captioner_file} (")
    assert asked == ["a-name"]


def test_caption_as_json(onnx_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(photos / "b.jpg")
    arguments = ["caption", str(onnx_file), photo, "--json", "--threads", "1"]
    options = ["--beam", "4", "--n-best", "2", "--length-penalty", "0.5"]
    options += ["--min-words", "2", "--max-words", "6", "--no-repeat-ngram", "2"]
    assert main(arguments + options) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    expected = Captioner.load(onnx_file, threads=1).caption(
        photo, beam=4, n_best=2, length_penalty=0.5, min_words=2, max_words=6, no_repeat_ngram=2
    )
    assert answer["photo"] == photo
    assert answer["text"] == expected.text
    assert answer["ids"] == list(expected.ids)
    assert answer["score"] == expected.score
    assert [other["text"] for other in answer["alternatives"]] == [
        other.text for other in expected.alternatives
    ]
    assert answer["timings_ms"]["steps"] == expected.timings.steps


def test_a_bad_photograph_does_not_take_the_others(
    onnx_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    assert main(["caption", str(onnx_file), str(photos)]) == 2
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert printed.err.splitlines() == [
        f"error: {photos / 'bad.jpg'} is empty (0 bytes); give a complete image file."
    ]
    assert main(["caption", str(onnx_file), str(photos), "--json"]) == 2
    answers = json.loads(capsys.readouterr().out)
    assert [("text" in item, "error" in item) for item in answers] == [
        (True, False),
        (True, False),
        (False, True),
        (True, False),
    ]


def test_show(captioner_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(captioner_file)]) == 0
    text = capsys.readouterr().out
    for fact in ("name: tiny", "words: 12", "start: <start> (1)", "resampling: bilinear", "seed 3"):
        assert fact in text
    assert main(["show", str(captioner_file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["vocabulary"]["words"][5] == "dog"
    assert shown["parity"] == {"images": 0, "verdict": "checked on 0"}


def test_show_tells_kind_and_prefix(
    prefix_file: Path, onnx_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(onnx_file)]) == 0
    assert {"kind: step", "prefix: none"} <= set(capsys.readouterr().out.splitlines())
    manifest = read_manifest(prefix_file)
    assert manifest.prefix is not None
    fixed = manifest.prefix.length is not None
    assert main(["show", str(prefix_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("prefix:")
    assert lines[place - 1] == "kind: prefix"
    assert lines[place + 1 : place + 4] == [
        "  length: 8" if fixed else "  length: that of the words",
        "  padding: <pad> (0), at the start" if fixed else "  padding: <pad> (0), at the end",
        "  skipped: none" if fixed else "  skipped: <pad> (0)",
    ]
    assert main(["show", str(prefix_file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["prefix"] == asdict(manifest.prefix)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--beam", "0"], "beam is 0"),
        (["--beam", "x"], "--beam is 'x'; give a whole number"),
        (["--length-penalty", "nan"], "length_penalty is nan"),
        (["--max-words", "-3"], "max_words is -3"),
        (["--n-best", "9"], "n_best is 9"),
        (["--threads", "0"], "threads is 0"),
        (["--colour"], "--colour"),
    ],
    ids=str,
)
def test_illegal_options(
    options: list[str],
    what: str,
    onnx_file: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = str(photos / "b.jpg")
    assert what in failure(capsys, "caption", str(onnx_file), photo, *options)


def test_bad_files(onnx_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, photo = str(photos / "notes.txt"), str(photos / "b.jpg")
    assert "neither a .tflite nor an .onnx" in failure(capsys, "caption", text, photo)
    assert "neither a .tflite nor an .onnx" in failure(capsys, "show", text)
    assert "Unable to find" in failure(capsys, "show", "none.tflite")
    assert "Unable to find none.jpg" in failure(capsys, "caption", str(onnx_file), "none.jpg")
    assert "no image" in failure(capsys, "caption", str(onnx_file), text)
    (photos / "empty").mkdir()
    assert "no photograph" in failure(capsys, "caption", str(onnx_file), str(photos / "empty"))


@pytest.mark.parametrize("arguments", [[], ["paint"], ["caption"], ["show"], ["show", "a", "b"]])
def test_wrong_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--help" in failure(capsys, *arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["caption", "--help"], ["show", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "usage: edgecap-runtime" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error(onnx_file: Path) -> None:
    script = "import sys; from edgecap_runtime.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "show", str(onnx_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert errors == b""
