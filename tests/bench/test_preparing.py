"""`bench/preparation.py`: a camera's photographs, and what reduced decoding changes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "bench" / "preparation.py"


def test_photographs_are_as_a_camera_gives_them(photos: Path) -> None:
    from edgecap_bench.preparing.photographs import as_taken

    photo = sorted(photos.glob("*.jpg"))[0]
    pictures = {}
    for progressive in (False, True):
        taken = as_taken(photo, 2.0, progressive=progressive, seed=1)
        with Image.open(io.BytesIO(taken)) as image:
            assert image.width * image.height == pytest.approx(2e6, rel=0.03)
            assert image.width % 16 == image.height % 16 == 0
            assert bool(image.info.get("progressive")) == progressive
            pictures[progressive] = np.asarray(image, np.float32)
    # The same picture, however it is written.
    assert np.abs(pictures[False] - pictures[True]).max() <= 1
    # Noise in every pixel: neighbours differ in what is smooth without it.
    assert np.abs(np.diff(pictures[False], axis=1)).mean() > 3


def test_tells_cost_and_change(whole_run: Path, photos: Path) -> None:
    file = whole_run / "tiny-float32.tflite"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), str(file), "--photos", str(photos)),
            # Medians of several rounds, for a busy machine can make a single one of either long.
            *("--megapixels", "3", "--rounds", "7", "--json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    assert report["schema"] == "edgecap-preparation/1"
    assert report["file"] == file.name
    for several in report["photos"].values():
        assert [one["photo"] for one in several] == [f"photo{place}.jpg" for place in range(3)]
        for one in several:
            assert one["megapixels"] == pytest.approx(3, rel=0.03)
            # Decoding an eighth of the pixels is cheaper, and changes something but not much.
            assert 0 < one["ms"] < one["full_ms"]
            assert 0 < one["change"] < 1
            assert one["largest"] <= 12
            assert 0 < one["state_change"] < 1


def test_a_file_that_is_none_ends_with_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "nothing.tflite")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: Unable to find ")
    assert "Traceback" not in done.stderr
