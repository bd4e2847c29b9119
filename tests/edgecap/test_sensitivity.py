"""What each part and block costs: ranking, what is advised, the files, and a whole report."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgecap.cli import main
from edgecap.sensitivity import Damage, Sensitivity
from edgecap.sensitivity_report import HEADS, advised, tables, to_dict, verdict, write_report

SCORE = {"bleu4": 20.0, "bleu4_keras": 20.5, "difference": -0.5, "low": -1.0, "high": 0.25}


def damage(name: str, kind: str, p99: float, *keeps: str, changed: float = 0.1) -> Damage:
    return Damage(name, kind, 1_500_000, changed, p99, SCORE, 5.0, 0.5, keeps)


def report(*kept: float) -> Sensitivity:
    """A captioner of two blocks of which the second hurts most; kept: log p of what is kept."""
    names = ("second", "first", "third")
    return Sensitivity(
        recipe="static-int8",
        format="TFLite",
        images=50,
        plain=replace(damage("nothing", "none", 1e-5, changed=0.0), bytes_saved=0),
        rows=(
            damage("encoder", "part", 0.3),
            damage("first", "block", 0.1),
            damage("second", "block", 0.2),
            damage("third", "block", 0.1, changed=0.05),
            damage("embedding", "part", 0.01),
            damage("output", "part", 0.05),
            damage("all parts", "all", 0.4, changed=0.2),
        ),
        spared=(),
        kept=tuple(
            damage(names[place], "kept", p99, *names[: place + 1]) for place, p99 in enumerate(kept)
        ),
    )


def test_what_hurts_most_comes_first() -> None:
    titles = tables(report(0.3, 0.2))
    parts, blocks, kept = titles.values()
    assert [row[0] for row in parts] == ["nothing", "encoder", "output", "embedding", "all parts"]
    assert [row[0] for row in blocks] == ["second", "first", "third"]
    assert [row[0] for row in kept] == ["all parts", "but second", "& first"]
    assert blocks[0] == [
        "second", "1.50", "10.0%", "0.2", "-0.50", "-1.00 to +0.25", "5.0", "0.50",
    ]  # fmt: skip
    assert all(len(row) == len(HEADS) for rows in titles.values() for row in rows)


def test_a_block_that_costs_some_bytes_saves_no_minus_zero() -> None:
    rows = tables(replace(report(), plain=replace(report().plain, bytes_saved=-900)))
    assert next(iter(rows.values()))[0][1] == "0.00"


@pytest.mark.parametrize(
    ("kept", "keeps"),
    [
        ((0.2, 0.2), ("second",)),
        ((0.4, 0.2), ("second", "first")),
        ((0.208, 0.2), ("second",)),  # hardly worse than two
        ((0.39, 0.37), ()),  # no gain to speak of
        ((0.45, 0.42), ()),
        ((), ()),
    ],
)
def test_the_smallest_set_that_gains_is_advised(
    kept: tuple[float, ...], keeps: tuple[str, ...]
) -> None:
    found = report(*kept)
    row = advised(found)
    assert (row.keeps if row else ()) == keeps
    assert to_dict(found)["keep_float"] == list(keeps)
    assert to_dict(found)["worst_block"] == "second"
    said = verdict(found)
    assert said[0].startswith("Of the parts, encoder hurts most")
    assert said[1].startswith("Of the encoder's blocks, second hurts most: quantized alone it")
    # What the worst block alone would gain is always said.
    assert any(line.startswith("--keep-float second changes 10.0%") for line in said) == bool(kept)
    advice = [line for line in said if line.endswith(": advised")]
    assert [line.split()[1] for line in advice] == ([",".join(keeps)] if keeps else [])
    assert any("No block is worth keeping" in line for line in said) == bool(kept and not keeps)


@given(st.floats(0.01, 9), st.lists(st.floats(0.01, 9), max_size=3))
def test_advice_gains(whole: float, kept: list[float]) -> None:
    found = report(*kept)
    rows = (*found.rows[:-1], replace(found.whole, p99=whole))
    row = advised(replace(found, rows=rows))
    assert (row is None) == (not kept or min(kept) >= 0.9 * whole)
    if row is not None:
        assert row.p99 <= 1.05 * min(kept)


def test_a_recipe_that_leaves_the_encoder_alone_names_a_part() -> None:
    rows = tuple(row for row in report().rows if row.kind != "block")
    found = replace(report(), rows=rows)
    assert len(tables(found)) == 1
    assert len(verdict(found)) == 1
    assert to_dict(found)["worst_block"] is None


def test_a_file_that_gives_no_numbers_is_the_worst(tmp_path: Path) -> None:
    found = report(0.3)
    first, broken, *others = found.rows
    found = replace(found, rows=(first, replace(broken, p99=math.nan), *others))
    assert to_dict(found)["worst_block"] == "first"
    write_report(found, tmp_path)
    written = json.loads((tmp_path / "sensitivity.json").read_text())
    assert written["rows"][1]["p99"] is None


def test_files(tmp_path: Path) -> None:
    found = report(0.3, 0.2)
    folder = tmp_path / "new" / "report"
    picture = write_report(found, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "sensitivity.csv", "sensitivity.json", "sensitivity.png",
    ]  # fmt: skip
    with Image.open(picture) as image:
        assert image.width > 800
    assert json.loads((folder / "sensitivity.json").read_text()) == to_dict(found)
    rows = list(csv.DictReader((folder / "sensitivity.csv").open()))
    # In the order of the road.
    assert [row["quantized"] for row in rows] == [
        "nothing", "encoder", "first", "second", "third", "embedding", "output", "all parts",
        "all parts", "all parts",
    ]  # fmt: skip
    assert rows[-1]["keep_float"] == "second,first"
    assert float(rows[1]["log_p_p99"]) == 0.3
    assert float(rows[1]["bleu4_low"]) == -1


def sensitivity(*words: object) -> Result:
    return CliRunner().invoke(main, ["sensitivity", *(str(word) for word in words)])


def test_a_whole_report(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    # All but two blocks in float32, and the decoder but for its words: fewer files to make.
    kept = [f"conv_{kind}_{place}" for place in range(2, 14) for kind in ("dw", "pw")]
    own.write_text(
        'base = "static-int8"\nstep = "float32"\noutput = "float32"\n'
        "spare_delicate = false\n"
        f"keep_float = {json.dumps([*kept, 'conv_dw_1'])}\n"
    )
    out = tmp_path / "report"
    done = sensitivity(tiny_run, "--data", tiny_data, "--recipe", own, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["recipe"] == "mine"
    assert answer["format"] == "TFLite"
    assert answer["images"] == 8
    assert answer["plain"]["changed"] == 0
    assert answer["plain"]["p99"] < 1e-3
    rows = {row["name"]: row for row in answer["rows"]}
    assert list(rows) == ["encoder", "conv1", "conv_pw_1", "embedding", "all parts"]
    for row in answer["rows"]:
        assert row["p99"] > answer["plain"]["p99"]
        assert row["encode_ms"] > 0
        assert row["word_ms"] > 0
        assert row["bleu4"]["low"] <= row["bleu4"]["difference"] <= row["bleu4"]["high"]
    assert rows["embedding"]["p99"] < rows["all parts"]["p99"]
    # Of two blocks, keeping the worse leaves one.
    worst = max(("conv1", "conv_pw_1"), key=lambda name: float(rows[name]["p99"]))
    assert answer["worst_block"] == worst
    assert [row["keeps"] for row in answer["kept"]] == [[worst]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml", "report"]
    assert len(list(out.iterdir())) == 3
    assert answer["spared"] == [*kept, "conv_dw_1"]


def test_blocks_that_are_spared_are_said() -> None:
    said = verdict(replace(report(0.3), spared=("first", "second")))
    assert "All parts are quantized but first, second, which stay float32" in said


def test_the_words_alone_in_onnx(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.json"
    own.write_text('{"base": "float32", "embedding": "int8-rows"}')
    done = sensitivity(
        tiny_run, "--data", tiny_data, "--recipe", own, "--format", "onnx", "--images", 4,
        "-o", tmp_path / "report",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "mine, one part at a time" in done.stdout
    assert "ONNX, 4 photographs" in done.stdout
    assert "Of the parts, embedding hurts most" in done.stdout
    assert "block" not in done.stdout.split("picture:")[0]
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if "─" in line)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--recipe", "float32"), "quantizes nothing"),
        (("--recipe", "int2"), "there is no recipe 'int2'"),
        (("--recipe", "dynamic-int8", "--calibrate", "samples"), "is not calibrated"),
        (("--data", "DATA", "--split", "train"), "give a folder with --calibrate"),
        (("--data", "DATA", "--split", "train2"), "no split 'train2'"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: tuple[str, ...], sentence: str, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    given_words = [tiny_data if word == "DATA" else word for word in words]
    done = sensitivity(tiny_run, *given_words, "-o", tmp_path / "report")
    assert done.exit_code == 2, done.output
    assert sentence.lower() in done.stderr.lower()
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())
