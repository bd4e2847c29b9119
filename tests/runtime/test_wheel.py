"""The built wheel, alone in an empty environment with one interpreter, captions photographs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap_runtime import Captioner

ROOT = Path(__file__).parents[2]


def run(*command: object, **more: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, **more)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # From a copy, for a build leaves its traces beside the sources.
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "runtime"
    shutil.copytree(
        ROOT / "runtime", source, ignore=shutil.ignore_patterns("*.egg-info", "build", "web")
    )
    done = run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", source)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("edgecap_runtime-*.whl")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("extra", "other"), [("tflite", "onnx"), ("onnx", "tflite")])
def test_the_wheel_alone_captions(
    extra: str,
    other: str,
    wheel: Path,
    onnx_file: Path,
    tflite_file: Path,
    photograph: np.ndarray,
    tmp_path: Path,
) -> None:
    files = {"onnx": onnx_file, "tflite": tflite_file}
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    constraints = ROOT / "constraints.txt"
    done = run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "-c", constraints, f"edgecap-runtime[{extra}] @ {wheel.as_uri()}",
        env=clean,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed = run(python, "-m", "pip", "list", "--format=freeze", env=clean).stdout.lower()
    assert "tensorflow" not in installed
    assert "keras" not in installed
    assert "nltk" not in installed

    photo = tmp_path / "photo.png"
    Image.fromarray(photograph).save(photo)
    command = tmp_path / "env" / "bin" / "edgecap-runtime"
    done = run(command, "caption", files[extra], photo, "--json", env=clean, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Captioner.load(files[extra]) as captioner:
        expected = captioner.caption(photo)
    assert json.loads(done.stdout)[0]["ids"] == list(expected.ids)

    missing = run(command, "caption", files[other], photo, env=clean, cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stdout == ""
    assert f"pip install 'edgecap-runtime[{other}]'" in missing.stderr
    assert missing.stderr.count("\n") == 1
