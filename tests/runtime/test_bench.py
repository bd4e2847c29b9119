"""`edgecap-runtime bench`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap_runtime.benching.photographs import synthetic_photograph
from edgecap_runtime.benching.summary import percentile, summary
from edgecap_runtime.cli import main
from edgecap_runtime.preparation import open_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("b.jpg", "a.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_the_report(captioner_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(captioner_file), "--photos", str(photos), "--json"]
    assert main([*arguments, "--rounds", "3", "--threads", "1", "--beam", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "edgecap-device-bench/1"
    content = captioner_file.read_bytes()
    assert report["file"]["bytes"] == len(content)
    assert report["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert report["settings"] == {
        "threads": 1,
        "beam": 2,
        "rounds": 3,
        "photos": {"source": "a folder", "count": 2, "names": ["a.png", "b.jpg"]},
    }
    times = report["times_ms"]
    assert set(times) == {"prepare", "encode", "per_word", "decode", "caption"}
    for row in times.values():
        assert row["count"] == 6
        assert 0 < row["p50"] <= row["p90"] <= row["p99"] <= row["max"]
    # Each caption takes longer than each of its parts, and so do the percentiles.
    for name in ("prepare", "encode", "decode"):
        assert times[name]["p50"] < times["caption"]["p50"]
    assert 1 <= report["steps"]["p50"] <= 9
    assert report["cpu_s_per_caption"] > 0
    assert all(report["load_ms"][name] > 0 for name in ("first", "again", "first_caption"))
    assert {"before", "after"} == set(report["health"])
    assert report["machine"]["cores"] >= 1
    if sys.platform.startswith("linux"):
        memory = report["memory_mb"]
        assert 10 < memory["before_load"] <= memory["peak"]


def test_lines_for_people(onnx_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(onnx_file), "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for fact in ("30 rounds over 1 photographs (synthetic 500 x 375", "a word", "p99", "before: "):
        assert fact in printed.out


def test_the_generated_photograph_is_the_same_everywhere() -> None:
    first, again = synthetic_photograph(), synthetic_photograph()
    assert first == again
    # Decoders and encoders of JPEG differ in the last bits from version to version.
    pixels = np.asarray(open_photo(first), np.float64)
    assert pixels.shape == (375, 500, 3)
    assert pixels.mean() == pytest.approx(127.6, abs=1)
    assert pixels.std() == pytest.approx(59.0, abs=1)
    # The size of a camera's JPEG of that many pixels, not of a flat or a random picture.
    assert 30_000 < len(first) < 100_000


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--rounds", "0"], "rounds is 0"),
        (["--beam", "65"], "beam is 65"),
        (["--threads", "0"], "threads is 0"),
        (["--photos", "nowhere"], "Unable to read the folder nowhere"),
        (["--rounds", "many"], "--rounds is 'many'"),
    ],
    ids=str,
)
def test_mistakes(
    options: list[str], what: str, onnx_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(onnx_file), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert what in line


def test_percentiles_equal_numpys() -> None:
    values = np.random.default_rng(1).normal(size=37).tolist()
    for percent in (0, 1, 50, 90, 99, 100):
        assert percentile(values, percent) == pytest.approx(np.percentile(values, percent))
    assert summary([3.0])["p99"] == 3.0
    with pytest.raises(ValueError, match="no percentile"):
        percentile([], 50)
