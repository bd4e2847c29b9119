"""The targets in Keras form, and what happens when their run is damaged."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from edgecap_bench.command import main
from edgecap_bench.targets import gpu
from edgecap_bench.targets.keras_step import KerasStep
from edgecap_bench.targets.notebook import CompiledNotebook, Notebook
from edgecap_runtime.errors import EdgecapError

from .conftest import write_run
from .test_decoders import SMALL


def test_notebook_compiled_and_step_say_the_same(run: Path, photos: Path) -> None:
    paths = [str(path) for path in sorted(photos.glob("*.jpg"))]
    said = []
    for target in (Notebook, CompiledNotebook, KerasStep):
        made = target(str(run), 1)
        # Not `bring_in`: TensorFlow, running here already, takes no other number of threads.
        made.load()
        samples = [made.caption(path, 1) for path in paths]
        said.append([tuple(sample.ids) for sample in samples])
        for sample in samples:
            assert sample.caption_ms == pytest.approx(sample.parts_ms)
            assert 1 <= sample.steps <= 7
    assert said[0] == said[1] == said[2]
    assert len(set(said[0])) > 1


def test_a_machine_without_a_gpu_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in gpu._SEES:
        monkeypatch.setitem(gpu._SEES, name, lambda: False)
    monkeypatch.setitem(gpu._SEES, "jax", broken_driver)
    with pytest.raises(EdgecapError, match="no GPU that torch, JAX or TensorFlow sees"):
        gpu.KerasGpu(str(run), 1).bring_in()


def broken_driver() -> bool:
    raise RuntimeError("CUDA driver version is insufficient")


@pytest.mark.parametrize("decoder", ["lstm", "merge-bilstm"])
def test_what_a_gpu_runs_says_the_same(
    decoder: str, run: Path, photos: Path, tmp_path: Path
) -> None:
    """The GPU's way to call Keras, here on the processor."""
    if decoder != "lstm":
        run = write_run(tmp_path / "run", decoder, **SMALL)
    said = []
    for target in (KerasStep, gpu.KerasGpu):
        made = target(str(run), 1)
        made.load()
        samples = [
            made.caption(str(path), beam)
            for path in sorted(photos.glob("*.jpg"))
            for beam in (1, 3)
        ]
        said.append([tuple(sample.ids) for sample in samples])
    assert said[0] == said[1]


def test_a_notebook_has_no_beam(run: Path, photos: Path) -> None:
    with pytest.raises(ValueError, match="beam of 3"):
        Notebook(str(run), 1).caption(str(photos / "photo0.jpg"), 3)


def test_an_export_that_fails_is_a_rows_error(
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged = shutil.copytree(run, tmp_path / "run")
    (damaged / "decoder.weights.h5").write_bytes(b"cut short")
    out = tmp_path / "report"
    out.mkdir()
    # An older file must not be measured in place of the one that could not be made.
    (out / "tiny-float32.onnx").write_bytes(b"old")
    arguments = ["latency.py", str(damaged), "--targets", "onnx:float32", "--json", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--photos", str(photos)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    report = json.loads(capsys.readouterr().out)
    assert len(report["rows"]) == 2
    for row in report["rows"]:
        assert "the export failed" in row["error"]
        assert "decoder.weights.h5" in row["error"]
        assert row["files"] == []
    assert json.loads((out / "report.json").read_text())["rows"] == report["rows"]
    assert not (out / "report.png").exists()
