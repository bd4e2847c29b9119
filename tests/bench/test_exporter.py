"""Exports that take photographs to calibrate on: which, and what happens where they are too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap.box import sample_photos
from edgecap_bench.benchmark import QUICK
from edgecap_bench.exporter import _Exporter
from edgecap_bench.planning import plan_benchmark
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError

CALIBRATED = ["tflite:float32", "tflite:static-int8"]


def write_data(folder: Path, train: int) -> Path:
    """Write a dataset as a table: `train` photographs to learn from, two to be scored."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    lines = ["image,caption,split"]
    for place in range(train + 2):
        low = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        low.resize((80, 60), Image.Resampling.BICUBIC).save(folder / f"{place:02d}.jpg")
        lines.append(f"{place:02d}.jpg,word1 word2,{'train' if place < train else 'dev'}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


def plan(run: Path, out: Path, targets: list[str], data: Path | None, split: str = "dev"):
    return plan_benchmark(
        [str(run)],
        targets=targets,
        photos=None,
        data=data,
        images=None,
        split=split,
        quality_images=None,
        threads=[1],
        beams=[1],
        effort=QUICK,
        bare=False,
        seed=3,
        out=out,
    )


def test_recipes_are_calibrated_on_the_train_split_or_on_the_samples(
    run: Path, tmp_path: Path
) -> None:
    data = write_data(tmp_path / "data", train=12)
    planned = plan(run, tmp_path / "a", CALIBRATED, data).calibration
    assert planned is not None
    assert [path.name for path in planned.paths] == [f"{place:02d}.jpg" for place in range(12)]
    assert "train split" in planned.said
    assert (planned.count, planned.seed) == (128, 0)
    # Never what is scored; and where there is no data, what there is.
    for of, split in ((data, "train"), (None, "dev")):
        other = plan(run, tmp_path / "b", CALIBRATED, of, split).calibration
        assert other is not None
        assert list(other.paths) == sample_photos()
        assert "sample photographs" in other.said


def test_nothing_is_looked_for_where_no_recipe_is_calibrated(run: Path, tmp_path: Path) -> None:
    assert plan(run, tmp_path / "out", ["keras", "onnx:dynamic-int8"], None).calibration is None


def test_the_exporter_calibrates_and_names_what_it_left_out(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", train=12)
    photos = sorted(map(str, data.glob("*.jpg")))
    (data / "00.jpg").write_bytes(b"\xff\xd8\xff")
    exporter = _Exporter()
    exporter.start(str(run), photos[12:], photos[:12])
    assert exporter.export(str(tmp_path / "s.tflite"), "static-int8")["verdict"]
    made = read_manifest(tmp_path / "s.tflite").source["quantization"]
    assert made["calibration"]["images"] == 11
    assert sorted(made["calibration"]["names"]) == [f"{place:02d}.jpg" for place in range(1, 12)]
    assert "int8" in made["weights"]["encoder"]
    assert "left out of the calibration: " in capsys.readouterr().err


def test_too_few_photographs_spoil_only_what_needs_them(run: Path, tmp_path: Path) -> None:
    photos = sorted(map(str, write_data(tmp_path / "data", train=1).glob("*.jpg")))
    exporter = _Exporter()
    exporter.start(str(run), photos[1:], photos[:1])
    assert exporter.export(str(tmp_path / "f.tflite"), "float32")["verdict"]
    with pytest.raises(OptionError, match="There are 1 photographs to calibrate on"):
        exporter.export(str(tmp_path / "s.tflite"), "static-int8")
    assert not (tmp_path / "s.tflite").exists()
