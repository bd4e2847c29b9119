"""The table of processors: what is judged, summarized, kept and written; and the mask."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecap_bench.emulation.mask import MASKS
from edgecap_bench.emulation.processors import PROCESSORS
from edgecap_bench.processors.command import main
from edgecap_bench.processors.judging import judge
from edgecap_bench.processors.keras_side import KerasSide
from edgecap_bench.processors.page import processors_page
from edgecap_bench.processors.record import Record
from edgecap_bench.processors.saying import PLACES, RunError, Said, say
from edgecap_bench.processors.summary import gains, int8_products, roundings
from edgecap_runtime.errors import OptionError

SCRIPT = Path(__file__).parents[2] / "bench" / "processors.py"
GATE = {"identical": 0.9, "log_probability": 0.1, "quantile": 1.0}
WORDS = 5


@pytest.fixture
def keras(tmp_path: Path) -> KerasSide:
    """Two images with captions of two words and one; each is followed by the end, id 1."""
    rng = np.random.default_rng(3)
    rows = np.log(rng.dirichlet(np.ones(WORDS), size=5)).astype(np.float32)
    np.save(tmp_path / "keras.npy", rows)
    np.save(tmp_path / "pictures.npy", np.zeros((2, 4, 4, 3), np.uint8))
    for name, content in (
        ("greedy", [[2, 3], [4]]),
        ("tokens", [[2, 3, 1], [4, 1]]),
        ("words", [[2, 3], [4]]),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return KerasSide(tmp_path)


@pytest.fixture
def native(keras: KerasSide) -> Said:
    return Said(
        ids=((2, 3), (4,)),
        log_probabilities=(-1.0, -2.0),
        equal_prefixes=np.array(keras.equal_prefixes, np.float64),
        encode_ms=(9.0, 3.0),
        caption_ms=(20.0, 10.0),
    )


def moved(said: Said, row: int, word: int, by: float, **fields: Any) -> Said:
    rows = said.equal_prefixes.copy()
    rows[row, word] += by
    return dataclasses.replace(said, equal_prefixes=rows, **fields)


def test_judge_finds_no_difference_where_there_is_none(keras: KerasSide, native: Said) -> None:
    row = judge(native, native, keras, GATE)
    assert row["images"] == row["as_keras"] == row["as_native"] == 2
    assert row["caption_nats"] == row["words_nats"] == row["any_word_nats"] == 0
    assert row["holds"]
    # The first image warms up.
    assert (row["encode_ms"], row["caption_ms"]) == (3.0, 10.0)


def test_judge_tells_keras_own_words_from_others(keras: KerasSide, native: Said) -> None:
    # Row 3 is the second image's first; Keras chose 4 there, and the end after it.
    own = judge(moved(native, 3, 4, 0.05), native, keras, GATE)
    assert own["words_nats"] == own["any_word_nats"] == pytest.approx(0.05)
    assert own["holds"]
    other = judge(moved(native, 3, 0, -0.2), native, keras, GATE)
    assert other["words_nats"] == 0
    assert other["any_word_nats"] == pytest.approx(0.2)
    assert not other["holds"]


def test_judge_compares_captions_of_equal_words_alone(keras: KerasSide, native: Said) -> None:
    said = dataclasses.replace(native, ids=((2, 3), (3,)), log_probabilities=(-1.25, -9.0))
    row = judge(said, native, keras, GATE)
    assert (row["as_keras"], row["as_native"]) == (1, 1)
    assert row["caption_nats"] == 0.25
    none = judge(dataclasses.replace(said, ids=((), ())), native, keras, GATE)
    assert none["caption_nats"] is None


def test_judge_takes_fewer_images_than_the_exporting_machine_had(
    keras: KerasSide, native: Said
) -> None:
    first = Said(((2, 3),), (-1.5,), native.equal_prefixes[:3] + 0.01, (1.0,), (2.0,))
    row = judge(first, native, keras, GATE)
    assert (row["images"], row["as_native"], row["caption_nats"]) == (1, 1, 0.5)
    assert row["words_nats"] == pytest.approx(0.01)


def test_what_is_no_number_does_not_hold(keras: KerasSide, native: Said) -> None:
    row = judge(moved(native, 0, 2, math.nan), native, keras, GATE)
    assert not row["holds"]
    assert math.isnan(row["words_nats"])


def row_of(processor: str, **fields: Any) -> dict[str, Any]:
    return {
        "captioner": "tiny",
        "recipe": "static-int8",
        "format": ".tflite",
        "processor": processor,
        "images": 4,
        "as_keras": 3,
        "as_native": 4,
        "caption_nats": 0.01,
        "words_nats": 0.02,
        "any_word_nats": 0.04,
        "keras_nats": 0.5,
        "holds": True,
        "encode_ms": 4.0,
        "caption_ms": 9.0,
        **fields,
    }


def test_rounding_is_the_furthest_of_the_other_processors() -> None:
    rows = [
        row_of("native", words_nats=9.0),
        row_of("haswell", words_nats=0.03, any_word_nats=0.05),
        row_of("nehalem", words_nats=0.01, any_word_nats=0.5),
        {**row_of("wasm"), "failed": "it died"},
        row_of("haswell", recipe="float32", words_nats=math.nan),
        row_of("nehalem", recipe="float32", words_nats=1.0),
    ]
    static, exact = roundings(rows)
    assert (static.recipe, static.format, static.processor) == ("static-int8", ".tflite", "haswell")
    assert (static.words_nats, static.any_word_nats, static.processors) == (0.03, 0.5, 2)
    assert math.isnan(exact.words_nats)


def test_gains_take_real_processors_alone() -> None:
    rows = [
        row_of("native", recipe="float32", encode_ms=6.0),
        row_of("native", encode_ms=2.0),
        row_of("haswell", recipe="float32"),
        row_of("haswell"),
        row_of("masked-haswell", recipe="float32"),
    ]
    (gain,) = gains(rows, ["native", "masked-haswell"])
    assert (gain.processor, gain.float_ms, gain.int8_ms) == ("native", 6.0, 2.0)


@pytest.mark.parametrize(
    ("architecture", "flags", "words"),
    [
        ("x86_64", ["avx2", "avx512_vnni"], "AVX512-VNNI"),
        ("x86_64", ["avx2", "avx_vnni"], "AVX-VNNI"),
        ("x86_64", ["avx_vnni", "avx512_vnni"], "AVX512-VNNI and AVX-VNNI"),
        ("x86_64", ["avx2"], "neither AVX512-VNNI nor AVX-VNNI"),
        ("AMD64", [], "unknown"),
        ("aarch64", ["asimddp"], "unknown"),
    ],
)
def test_int8_products(architecture: str, flags: list[str], words: str) -> None:
    assert int8_products({"architecture": architecture, "flags": flags}) == words


def result_of(rows: list[dict[str, Any]], files: list[dict[str, Any]]) -> dict[str, Any]:
    places = [PLACES[name] for name in ("native", "masked-haswell", "cortex-a72")]
    return {
        "captioners": ["tiny"],
        "recipes": ["float32", "static-int8"],
        "formats": [".tflite", ".onnx"],
        "about": {"tiny": {"encoder": "mobilenet", "decoder": "lstm"}},
        "processors": [
            {
                "name": place.name,
                "title": place.title,
                "how": place.how,
                "formats": list(place.formats),
                "missing": "needs qemu" if place.name == "cortex-a72" else None,
            }
            for place in places
        ],
        "files": files,
        "rows": rows,
        "photographs": "14 photographs",
        "calibration": "the samples",
        "emulated_images": 4,
        "threads": 2,
        "machine": {
            "cpu": "A processor",
            "cores": 2,
            "memory_mb": None,
            "architecture": "x86_64",
            "flags": ["avx512_vnni"],
            "python": "3.11",
            "versions": {},
        },
        "load": "",
        "command": "python bench/processors.py tiny",
    }


def test_the_page_has_every_row_and_every_reason() -> None:
    key = {"captioner": "tiny", "format": ".onnx", "recipe": "static-int8"}
    rows = [
        # Out of order, as processors end.
        row_of("masked-haswell", holds=False, as_native=2, encode_ms=8.0),
        row_of("native", encode_ms=2.0),
        row_of("native", recipe="float32", encode_ms=6.0),
        row_of("masked-haswell", recipe="float32", encode_ms=6.0),
        {**key, "processor": "masked-haswell", "failed": "the process ended by SIGSEGV"},
        row_of("native", captioner="other"),
    ]
    files = [{**key, "recipe": "float32", "refused": "no such thing in .onnx"}]
    page = processors_page(result_of(rows, files))
    lines = page.splitlines()
    assert "python bench/processors.py tiny" in page
    assert "8-bit products: AVX512-VNNI." in page
    assert any("cortex-a72" in line and "no: needs qemu" in line for line in lines)
    table = [line for line in lines if line.startswith(("| static-int8", "| float32"))]
    # One row of rounding for each recipe, and the rows in the order that was asked for.
    assert len(table) == 2 + 5
    shown = [line.split("|")[1:4] for line in table[2:]]
    assert [[cell.strip().partition(",")[0] for cell in cells] for cells in shown] == [
        ["float32", ".tflite", "native"],
        ["float32", ".tflite", "Haswell (AVX2)"],
        ["static-int8", ".tflite", "native"],
        ["static-int8", ".tflite", "Haswell (AVX2)"],
        ["static-int8", ".onnx", "Haswell (AVX2)"],
    ]
    assert "**fails** (0.5)" in table[5]
    assert "**failed**" in table[6]
    assert "- .onnx float32: no such thing in .onnx" in lines
    assert "- .onnx static-int8, Haswell (AVX2), masked: the process ended by SIGSEGV" in lines
    assert "other" not in {line.split("|")[1].strip() for line in lines if line.startswith("|")}
    times = [line for line in lines if line.startswith("| tiny")]
    assert [line.split("|")[-2].strip() for line in times] == ["3.00", "0.75"]


def test_a_record_goes_on_where_it_was(tmp_path: Path) -> None:
    path, about = tmp_path / "record.json", {"photographs": ["a.jpg"]}
    key = {"captioner": "tiny", "recipe": "float32", "format": ".onnx"}
    record = Record(path, about)
    record.keep_file(key, {"bytes": 3})
    record.keep_row({**key, "processor": "native"}, {"failed": "it died"})
    record.keep_row({**key, "processor": "wasm"}, {"images": 1})
    again = Record(path, about)
    assert again.file(**key) == {**key, "bytes": 3}
    assert again.row(**key, processor="native") is None
    assert again.row(**key, processor="wasm") == {**key, "processor": "wasm", "images": 1}
    again.keep_row({**key, "processor": "native"}, {"images": 2})
    assert len(Record(path, about).rows) == 2
    with pytest.raises(OptionError, match="results of other photographs"):
        Record(path, {"photographs": ["b.jpg"]})


def processors(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *(str(word) for word in words)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def surveyed(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run of the command on this machine alone."""
    folder = tmp_path_factory.mktemp("processors")
    words = [
        *(run, "--recipes", "float32,int16x8", "--formats", ".onnx", "--processors", "native"),
        *("--photos", photos, "--images", 2, "--threads", 1, "--work", folder / "work"),
    ]
    done = processors(*words, "--json", folder / "found.json", "-o", folder / "out" / "page.md")
    return {"done": done, "folder": folder, "words": words}


def test_the_command_exports_runs_and_writes(surveyed: dict[str, Any], run: Path) -> None:
    done, folder = surveyed["done"], surveyed["folder"]
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "found.json").read_text())
    (row,) = found["rows"]
    assert (row["processor"], row["recipe"], row["images"]) == ("native", "float32", 2)
    # A float32 file on the machine that exported it says what Keras says.
    assert row["as_keras"] == row["as_native"] == 2
    assert row["keras_nats"] <= 1e-3
    assert row["holds"]
    assert "convolution of int16 activations" in found["files"][1]["refused"]
    page = (folder / "out" / "page.md").read_text()
    assert f"## {run.name}: mobilenet with lstm" in page
    assert "- .onnx int16x8: " in page


def test_the_command_goes_on_and_runs_nothing_twice(surveyed: dict[str, Any]) -> None:
    record = surveyed["folder"] / "work" / "record.json"
    found = json.loads(record.read_text())
    found["rows"][0]["as_keras"] = 77
    record.write_text(json.dumps(found))
    done = processors(*surveyed["words"])
    assert done.returncode == 0, done.stderr
    assert "| 77 |" in done.stdout
    done = processors(*surveyed["words"][:-6], "--images", 1, *surveyed["words"][-4:])
    assert done.returncode == 2
    assert "holds results of other photographs" in done.stderr


def test_a_program_that_fails_or_takes_too_long_is_its_row_alone(
    keras: KerasSide, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"images": 1, "threads": 1}
    missing = tmp_path / "nothing.onnx"
    with pytest.raises(RunError, match=r"exit status 1: .*nothing\.onnx"):
        say(PROCESSORS["native"], missing, keras, tmp_path / "said", timeout_s=60, **options)
    with pytest.raises(RunError, match=r"no answer within 0.01 s"):
        say(PROCESSORS["native"], missing, keras, tmp_path / "said", timeout_s=0.01, **options)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nano", "--processors", "pentium"), "no processor 'pentium'"),
        (("nano", "--recipes", "int2"), "no recipe 'int2'"),
        (("nano", "--formats", ".pb"), "--formats has '.pb'"),
        (("nowhere",), "nowhere"),
        (("nano", "nano"), "two captioners are called 'nano'"),
        (("nano", "--data", "nowhere"), "nowhere"),
        (("nano", "--data", "a", "--photos", "b"), "a"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Here and not as a script, whose start takes more than all of these.
    monkeypatch.setattr(sys, "argv", ["processors.py", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("cpu", "hidden", "left"),
    [
        ("Haswell", ("AVX512F", "AVX512BW"), ("AVX2", "FMA3")),
        ("AVX-VNNI", ("AVX512F", "AVX512BW"), ("AVX2", "FMA3")),
        ("Nehalem", ("AVX512F", "AVX2", "AVX", "FMA3"), ("SSE42",)),
    ],
)
def test_a_mask_hides_features_from_programs(
    cpu: str, hidden: tuple[str, ...], left: tuple[str, ...]
) -> None:
    masked = PROCESSORS[f"masked-{cpu.lower()}"]
    reason = masked.missing()
    if reason is not None:
        pytest.skip(reason)
    # NumPy asks the processor itself.
    script = (
        "import json\nfrom numpy._core._multiarray_umath import __cpu_features__ as found\n"
        "print(json.dumps([name for name, there in found.items() if there]))"
    )
    done = subprocess.run(
        masked.python("-c", script),
        env=masked.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(json.loads(done.stdout))
    assert not found & set(hidden)
    assert set(left) <= found


def test_a_mask_refuses_an_unknown_processor() -> None:
    masked = PROCESSORS["masked-haswell"]
    if masked.missing() is not None:
        pytest.skip(str(masked.missing()))
    done = subprocess.run(
        masked.python("-c", "print(1)"),
        env=masked.environment() | {"EDGECAP_CPU": "Pentium"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert all(cpu in done.stderr for cpu in MASKS)
