"""Bad input ends with one sentence and exit status 2, before anything is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgecap_bench.command import main

LATENCY = Path(__file__).parents[2] / "bench" / "latency.py"


def _refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setattr(sys, "argv", ["latency.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize("target", ["tensorrt", "tflite", "tflite:float99", "keras:float32", ""])
def test_an_unknown_target_names_the_legal_ones(
    target: str,
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "report"
    said = _refused(
        [str(run), "--targets", f"keras,{target}", "--photos", str(photos), "-o", str(out)],
        capsys,
        monkeypatch,
    )
    assert repr(target) in said
    assert "choose among notebook, notebook-compiled, keras, gpu, tflite:float32, " in said
    assert "tflite:static-int8, " in said
    assert "onnx:dynamic-int8, " in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_other_bad_input(
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no captioner at all")
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    cases = [
        ([str(text)], "neither a .tflite nor an .onnx"),
        ([str(tmp_path / "nowhere")], "neither a folder nor a name"),
        ([str(run), "--photos", str(empty)], "no photograph"),
        ([str(run), "--photos", str(broken)], "photo.jpg"),
        ([str(run), "--photos", str(tmp_path / "gone.jpg")], "gone.jpg"),
        ([str(run), "--quality-images", "3", "--photos", str(photos)], "--data"),
        ([str(run), str(run), "--photos", str(photos)], "One RUN at a time"),
        ([str(run), "--photos", str(photos), "--data", str(empty)], str(empty)),
        ([str(run), "--photos", str(photos), "-o", str(text)], str(text)),
    ]
    for arguments, part in cases:
        if "-o" not in arguments:
            arguments = [*arguments, "-o", str(tmp_path / "report")]
        assert part in _refused(arguments, capsys, monkeypatch)
    assert not (tmp_path / "report").exists()


def test_targets_belong_to_a_run(
    whole_run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(whole_run / "tiny-float32.tflite")
    said = _refused(
        [file, "--targets", "keras", "--photos", str(photos), "-o", str(tmp_path / "report")],
        capsys,
        monkeypatch,
    )
    assert "only files are given" in said


def test_the_script_has_help() -> None:
    done = subprocess.run(
        [sys.executable, str(LATENCY), "--help"], capture_output=True, text=True, check=True
    )
    assert "notebook-compiled" in done.stdout
    assert "--rounds" in done.stdout
