"""The table of recipes: files, what a format can't have, resuming, and bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap_bench.recipes.command import main

RECIPES = Path(__file__).parents[2] / "bench" / "recipes.py"
TRAIN, DEV = 12, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset as a table, twelve photographs to calibrate on and three to compare on."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    lines = ["image,caption,split"]
    for place in range(TRAIN + DEV):
        low = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        low.resize((80, 60), Image.Resampling.BICUBIC).save(folder / f"{place:02d}.jpg")
        split = "train" if place < TRAIN else "dev"
        lines.append(f"{place:02d}.jpg,word1 word2 word3 word4,{split}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


def recipes(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RECIPES), *(str(word) for word in words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_is_made_in_two_calls(run: Path, data: Path, tmp_path: Path) -> None:
    record, files, page = tmp_path / "r.json", tmp_path / "files", tmp_path / "out" / "page.md"
    words = (
        run, "--data", data, "--recipes", "dynamic-int8,int16x8", "--record", record,
        "--files", files, "--threads", "1", "-o", page,
    )  # fmt: skip
    done = recipes(*words, "--no-times")
    assert done.returncode == 0, done.stderr
    rows = json.loads(record.read_text())["rows"]
    assert [(row["format"], row["recipe"]) for row in rows] == [
        (suffix, recipe)
        for suffix in (".tflite", ".onnx")
        for recipe in ("float32", "dynamic-int8", "int16x8")
    ]
    assert all("ms" not in row for row in rows)
    *made, refused = rows
    assert "convolution of int16 activations" in refused["refused"]
    for row in made:
        file = files / run.name / f"{row['recipe']}{row['format']}"
        assert file.stat().st_size == row["bytes"]
        assert (row["encoder"], row["decoder"], row["images"]) == ("mobilenet", "lstm", DEV)

    # The record is believed, and a file that is gone is made again.
    (files / run.name / "dynamic-int8.tflite").unlink()
    made[0]["p99"] = 1.25e-7
    record.write_text(json.dumps({"rows": rows}))
    done = recipes(*words)
    assert done.returncode == 0, done.stderr
    timed = {(row["format"], row["recipe"]): row for row in json.loads(record.read_text())["rows"]}
    assert timed[".tflite", "float32"]["p99"] == 1.25e-7
    for row in made:
        ms = timed[row["format"], row["recipe"]]["ms"]["1"]
        assert ms["ten_words"] == pytest.approx(ms["encode"] + 10 * ms["word"])
        assert ms["encode"] > 0
    text = page.read_text()
    assert f"## {run.name}: mobilenet with lstm" in text
    table = [line for line in text.splitlines() if line.startswith("| .")]
    assert len(table) == len(made)
    assert "- .onnx int16x8: " in text
    float_size, dynamic_size = (
        timed[".tflite", name]["bytes"] for name in ("float32", "dynamic-int8")
    )
    assert f" {dynamic_size / float_size:.2f} " in table[1]
    assert re.search(r"\| 1\.2e-07 \|", table[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("RUN", "--data", "DATA", "--recipes", "int2"), "no recipe 'int2'"),
        (("RUN", "--data", "DATA", "--threads", "two"), "--threads is 'two'"),
        (("nowhere", "--data", "DATA"), "nowhere"),
        (("RUN", "--data", "DATA", "--split", "test"), "no split 'test'"),
        (("RUN", "--data", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: tuple[str, ...],
    sentence: str,
    run: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {"RUN": run, "DATA": data}
    given = [str(known.get(word, word)) for word in words]
    # Here and not as a script, whose start takes more than all of these.
    monkeypatch.setattr(sys, "argv", ["recipes.py", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
