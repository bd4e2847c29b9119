"""What a file checks itself by, and how that is judged."""

from __future__ import annotations

import base64
import json
import math
import signal
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest, write_bundle
from edgecap_runtime.check_entry import SIDE, enlarged, pack_picture
from edgecap_runtime.checking import measure
from edgecap_runtime.cli import main
from edgecap_runtime.device.machine import integer_products
from edgecap_runtime.errors import BundleError
from edgecap_runtime.manifest import Manifest, SearchInside

MODEL = tiny.TinyModel.random(1)
"""The file: its captions end before they are cut."""
KERAS = tiny.TinyModel.random(9)
"""Says something else than the file, as an int8 file's Keras model may."""


class Faulty:
    """The tiny model with a fault in the logits after so many calls of the step."""

    def __init__(self, spoil: Any, at: int = 0, inside: Any = None) -> None:
        self._model = MODEL
        self._spoil, self._at, self._calls = spoil, at, 0
        self.encode, self.close = self._model.encode, self._model.close
        self.inside = inside

    def step(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        logits, following = self._model.step(ids, state)
        if self._calls >= self._at:
            logits = self._spoil(logits.copy())
        self._calls += 1
        return logits, following

    def greedy(self, state: Any) -> tuple[np.ndarray, int, np.ndarray]:
        ids = np.full(8, 2, np.int32)
        ids[: len(self.inside)] = self.inside
        return ids, len(self.inside), np.zeros(8, np.float32)


def carrying(tolerance: float = 0.01, model: tiny.TinyModel = MODEL, **changes: Any) -> Manifest:
    check = tiny.tiny_check(model, KERAS, tolerance)
    return tiny.tiny_manifest(check_json=check.to_json(), **changes)


def same(logits: np.ndarray) -> np.ndarray:
    return logits


def altered(manifest: Manifest, place: int = 0, **changes: Any) -> Manifest:
    """The manifest with another answer of the exporting machine about one picture."""
    assert manifest.check is not None
    pictures = list(manifest.check.pictures)
    exported = replace(pictures[place].exported, **changes)
    pictures[place] = replace(pictures[place], exported=exported)
    check = replace(manifest.check, pictures=tuple(pictures))
    return replace(manifest, check_json=check.to_json())


# --- what is measured


def test_it_measures_what_plain_arithmetic_says() -> None:
    manifest = carrying()
    assert manifest.check is not None
    assert any(picture.keras.ids != picture.exported.ids for picture in manifest.check.pictures)
    for picture in manifest.check.pictures:
        said = measure(MODEL, manifest, picture.pixels(), picture.keras)
        assert said.answer.ids == picture.exported.ids
        for name in ("at_prefixes", "log_probabilities", "gaps"):
            found, wanted = (getattr(item, name) for item in (said.answer, picture.exported))
            # Logits are float32, of some tens.
            assert found == pytest.approx(wanted, abs=1e-4)
        assert said.inside is None


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_picture_is_enlarged_by_whole_numbers_alone(height: int, width: int) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[..., 0] = np.arange(SIDE)[:, None]
    pixels[..., 1] = np.arange(SIDE)
    large = enlarged(pixels, height, width)
    assert large.shape == (height, width, 3)
    assert large[:, 0, 0].tolist() == [i * 64 // height for i in range(height)]
    assert large[0, :, 1].tolist() == [j * 64 // width for j in range(width)]


@pytest.mark.parametrize(
    ("flags", "architecture", "said"),
    [
        (["avx2"], "x86_64", "neither AVX512-VNNI nor AVX-VNNI"),
        (["avx2", "avx512_vnni"], "x86_64", "AVX512-VNNI"),
        (["avx_vnni"], "AMD64", "AVX-VNNI"),
        ([], "x86_64", ""),
        (["asimd"], "aarch64", ""),
        (["asimd", "asimddp"], "aarch64", "dot product"),
    ],
)
def test_what_matters_of_a_processor_is_named(
    flags: list[str], architecture: str, said: str
) -> None:
    assert integer_products(flags, architecture) == said


# --- how it is judged


def test_the_same_numbers_pass() -> None:
    result = Captioner(carrying(), Faulty(same)).check()
    assert (result.checked, result.passed) == (True, True)
    assert result.largest < 1e-4
    assert result.lines() == [result.sentence]
    assert result.sentence.startswith(
        "this machine says what the exporting one said: 2 of 2 captions, log-probabilities within "
    )
    assert result.sentence.endswith(" (0.01 allowed)")
    for picture in result.pictures:
        assert (picture.same, picture.here) == (True, picture.exported)


def test_what_keras_says_is_shown_and_not_judged() -> None:
    result = Captioner(carrying(), Faulty(same)).check()
    assert any(picture.keras != picture.here for picture in result.pictures)
    assert result.passed


def test_a_word_that_is_a_little_likelier_is_found() -> None:
    def louder(logits: np.ndarray) -> np.ndarray:
        logits[:, 7] += 0.2
        return logits

    for tolerance, passed in ((1e-4, False), (1.0, True)):
        result = Captioner(carrying(tolerance), Faulty(louder)).check()
        assert result.passed is passed
        assert 1e-3 < result.largest <= 0.2


@given(st.integers(0, 10), st.floats(0.001, 3.0), st.floats(0.001, 3.0))
def test_a_fault_at_one_word_is_found_where_it_is_too_large(
    at: int, louder: float, tolerance: float
) -> None:
    manifest = carrying(tolerance)
    assert manifest.check is not None
    picture = manifest.check.pictures[0]
    tokens = [*picture.keras.ids, 2]
    at %= len(tokens)
    calls = 0

    def once(logits: np.ndarray) -> np.ndarray:
        nonlocal calls
        # The first calls feed Keras' words of the first picture.
        logits[0, tokens[at]] += louder if calls == at else 0
        calls += 1
        return logits

    result = Captioner(manifest, Faulty(once)).check()
    likely = math.exp(picture.exported.at_prefixes[at])
    change = louder - math.log1p(likely * math.expm1(louder))
    assert result.pictures[0].largest == pytest.approx(change, abs=1e-4)
    assert result.passed is (result.pictures[0].largest <= tolerance)


def test_words_that_were_nearly_as_likely_may_differ_and_no_others() -> None:
    manifest = carrying(0.5)
    assert manifest.check is not None
    first = manifest.check.pictures[0].exported
    at = len(first.ids) // 2
    other = next(word for word in range(4, 12) if word != first.ids[at])
    ids = (*first.ids[:at], other, *first.ids[at + 1 :])
    gaps = list(first.gaps)
    for gap, passed in ((0.499, True), (0.5, False), (3.0, False)):
        gaps[at] = gap
        spoilt = altered(manifest, ids=ids, gaps=tuple(gaps))
        result = Captioner(spoilt, Faulty(same)).check()
        assert result.passed is passed, gap
        assert not result.pictures[0].same
        assert "1 of 2 captions" in result.sentence
        if not passed:
            fault = result.pictures[0].faults[0]
            assert fault.startswith(f"word {at + 1} is '{tiny.WORDS[first.ids[at]]}', was ")
            assert tiny.WORDS[other] in fault


def test_nothing_is_compared_behind_the_first_other_word() -> None:
    manifest = carrying(0.5)
    assert manifest.check is not None
    first = manifest.check.pictures[0].exported
    other = next(word for word in range(4, 12) if word != first.ids[0])
    far = tuple(value - 100 for value in first.log_probabilities)
    spoilt = altered(
        manifest,
        ids=(other, *first.ids[1:]),
        gaps=(0.1, *first.gaps[1:]),
        log_probabilities=far,
    )
    assert Captioner(spoilt, Faulty(same)).check().passed
    # But what stands before it is.
    spoilt = altered(manifest, log_probabilities=far)
    assert Captioner(spoilt, Faulty(same)).check().passed is False


def test_a_caption_that_ends_elsewhere_is_another() -> None:
    manifest = carrying(0.5)
    assert manifest.check is not None
    first = manifest.check.pictures[0].exported
    count = len(first.ids) - 1
    # It ended a word earlier there.
    for gap, passed in ((0.1, True), (2.0, False)):
        shorter = altered(
            manifest,
            ids=first.ids[:count],
            log_probabilities=first.log_probabilities[: count + 1],
            gaps=(*first.gaps[:count], gap),
        )
        result = Captioner(shorter, Faulty(same)).check()
        assert result.passed is passed
        if not passed:
            assert "was the end" in result.pictures[0].faults[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 5])
def test_numbers_that_are_not_finite_fail(value: float, at: int) -> None:
    def spoil(logits: np.ndarray) -> np.ndarray:
        logits[0, 6] = value
        return logits

    result = Captioner(carrying(100.0), Faulty(spoil, at)).check()
    assert result.passed is False
    assert math.isnan(result.largest)
    assert "not finite (1e+02 allowed)" in result.sentence
    assert any("not finite" in fault for item in result.pictures for fault in item.faults)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["largest"] is None


def test_a_word_of_keras_that_became_impossible_fails() -> None:
    manifest = carrying(100.0)
    assert manifest.check is not None
    word = manifest.check.pictures[0].keras.ids[0]

    def never(logits: np.ndarray) -> np.ndarray:
        logits[0, word] = -np.inf
        return logits

    result = Captioner(manifest, Faulty(never)).check()
    assert "a word's log-probability is not finite" in result.pictures[0].faults[0]


def test_the_search_inside_must_say_what_the_steps_say() -> None:
    manifest = carrying(greedy=SearchInside(8))
    assert manifest.check is not None
    only = replace(manifest.check, pictures=manifest.check.pictures[:1])
    manifest = replace(manifest, check_json=only.to_json())
    said = only.pictures[0].exported.ids
    assert Captioner(manifest, Faulty(same, inside=said)).check().passed
    result = Captioner(manifest, Faulty(same, inside=said[:-1])).check()
    assert result.pictures[0].faults == (
        "the search inside the file says other words than its steps",
    )


def test_a_failed_check_says_what_differs_where_and_what_to_do() -> None:
    def quiet(logits: np.ndarray) -> np.ndarray:
        return np.zeros_like(logits)

    result = Captioner(carrying(), Faulty(quiet)).check()
    text = "\n".join(result.lines())
    assert "does not say what the exporting one said: 0 of 2 captions" in text
    for picture in result.pictures:
        assert f"{picture.name}: a log-probability differs by " in text
        assert f"  here: {picture.here}" in text
        assert f"  at export: {picture.exported} (Keras: {picture.keras})" in text
    assert "exported on: a processor (x86_64, AVX512-VNNI), numpy 2, 2 threads" in text
    assert "here: " in text
    assert "another recipe (float32 is right everywhere), install another version" in text


def test_an_older_file_says_that_it_carries_nothing() -> None:
    result = Captioner(tiny.tiny_manifest(), tiny.TinyModel.random()).check()
    assert (result.checked, result.passed, result.pictures) == (False, None, ())
    assert "carries nothing to check itself by" in result.sentence
    told = result.to_dict()
    assert (told["checked"], told["passed"], told["exported_on"]) == (False, None, None)


# --- the entry


def changed(**changes: Any) -> dict[str, bytes]:
    """A manifest's entries with other values in check.json; "a__0__b" is a path, ... removes."""
    entries = carrying().to_entries()
    whole = json.loads(entries["check.json"])
    for path, value in changes.items():
        *way, last = [int(key) if key.isdecimal() else key for key in path.split("__")]
        target: Any = whole
        for key in way:
            target = target[key]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return {**entries, "check.json": json.dumps(whole).encode()}


def test_the_entry_comes_back_as_it_was_but_for_a_few_decimals() -> None:
    manifest = carrying()
    once = Manifest.from_entries(manifest.to_entries())
    assert once.check is not None
    assert manifest.check is not None
    assert Manifest.from_entries(once.to_entries()) == once
    for one, other in zip(once.check.pictures, manifest.check.pictures, strict=True):
        assert (one.name, one.rgb, one.keras.ids) == (other.name, other.rgb, other.keras.ids)
        assert one.exported.gaps == pytest.approx(other.exported.gaps, abs=1e-6)
    assert once.check.machine == manifest.check.machine


def test_the_entry_may_be_missing() -> None:
    entries = carrying().to_entries()
    del entries["check.json"]
    assert Manifest.from_entries(entries).check is None


FIRST = "pictures__0"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"size": 32}, "pictures of 32 pixels a side, and this edgecap-runtime reads 64; upgrade"),
        ({"size": ...}, "has no 'size'"),
        ({"tolerance": 0}, "tolerance 0.0"),
        ({"tolerance": -1}, "tolerance -1.0"),
        ({"tolerance": float("nan")}, "NaN is no finite number"),
        ({"tolerance": float("inf")}, "Infinity is no finite number"),
        ({"tolerance": "x"}, "tolerance = 'x'"),
        ({"machine": ...}, "has no 'machine'"),
        ({"machine__threads": "two"}, "threads = 'two'"),
        ({"pictures": []}, "0 pictures where 1 to 8 belong"),
        ({"pictures": {}}, "where a list of objects belongs"),
        ({f"{FIRST}__rgb": ...}, "has no 'rgb'"),
        ({f"{FIRST}__rgb": "A" * 20_001}, "a rgb of 20001 characters, and 20000 are the most"),
        ({f"{FIRST}__keras__ids": [12]}, "contradicts itself about the picture 'picture 0'"),
        ({f"{FIRST}__keras__log_probabilities": []}, "contradicts itself"),
        ({f"{FIRST}__exported__gaps": []}, "contradicts itself"),
        ({f"{FIRST}__exported__at_prefixes": []}, "contradicts itself"),
        ({f"{FIRST}__exported__log_probabilities": [float("nan")]}, "NaN is no finite"),
        ({f"{FIRST}__exported__gaps": ["1"]}, "'1' in gaps where a finite number belongs"),
        ({f"{FIRST}__exported__gaps": [10**400]}, "a number has 401 characters"),
        ({f"{FIRST}__exported__gaps": [True]}, "True in gaps"),
        ({f"{FIRST}__exported__ids": [1.5]}, "a list of whole numbers belongs"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_damaged_entry_is_one_sentence(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(BundleError) as error:
        _ = Manifest.from_entries(changed(**changes)).check
    assert what in str(error.value)
    assert "check.json" in str(error.value)


@pytest.mark.parametrize("place", [-1, 12])
def test_ids_must_be_the_vocabularys(place: int) -> None:
    manifest = carrying()
    assert manifest.check is not None
    ids = (place, *manifest.check.pictures[0].exported.ids[1:])
    with pytest.raises(BundleError, match=f"id {place}, outside the vocabulary's 12 words"):
        _ = altered(manifest, ids=ids).check


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, 0.0])
def test_a_tolerance_is_a_finite_number(tolerance: float) -> None:
    check = carrying().check
    assert check is not None
    with pytest.raises(BundleError, match=f"tolerance {tolerance} where"):
        replace(check, tolerance=tolerance)


def test_more_pictures_than_eight_are_refused() -> None:
    check = carrying().check
    assert check is not None
    with pytest.raises(BundleError, match="9 pictures where 1 to 8"):
        replace(check, pictures=check.pictures[:1] * 9)


def deflated(content: bytes) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode()


@pytest.mark.parametrize(
    "rgb",
    [
        "",
        "!" * 40,
        deflated(bytes(SIDE * SIDE * 3 - 1)),
        deflated(bytes(SIDE * SIDE * 3 + 1)),
        deflated(bytes(10_000_000)),
        deflated(bytes(SIDE * SIDE * 3))[:-4],
        base64.b64encode(zlib.compress(bytes(SIDE * SIDE * 3))).decode(),
        "犬",
    ],
    ids=["none", "no base64", "short", "long", "10 MB", "cut", "zlib header", "no ASCII"],
)
def test_a_damaged_picture_is_one_sentence(rgb: str) -> None:
    manifest = carrying()
    assert manifest.check is not None
    picture = replace(manifest.check.pictures[1], rgb=rgb)
    check = replace(manifest.check, pictures=(manifest.check.pictures[0], picture))
    captioner = Captioner(replace(manifest, check_json=check.to_json()), Faulty(same))
    with pytest.raises(BundleError, match=r"'picture 1' in check\.json is damaged; copy the file"):
        captioner.check()


@given(st.integers(0, 2**32))
def test_a_picture_comes_back(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    picture = replace(carrying().check.pictures[0], rgb=pack_picture(pixels))  # type: ignore[union-attr]
    np.testing.assert_array_equal(picture.pixels(), pixels)


# --- files and the command


@pytest.fixture
def carrying_file(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Writes a file of either kind that carries a check of the tiny model."""

    def write(suffix: str, manifest: Manifest) -> Path:
        plain = request.getfixturevalue(f"plain_{suffix}")
        path = tmp_path / f"carrying.{suffix}"
        write_bundle(plain, manifest, path)
        return path

    return write


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_the_command(carrying_file: Any, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = carrying_file(suffix, carrying(model=tiny.TinyModel.random()))
    assert main(["check", str(path), "--threads", "1"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("this machine says what the exporting one said: 2 of 2 captions")
    assert told.err == ""
    assert main(["check", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["checked"], result["passed"], len(result["pictures"])) == (True, True, 2)
    interpreter = {"onnx": "onnxruntime ", "tflite": "ai-edge-litert "}[suffix]
    assert result["here"]["interpreter"].startswith(interpreter)


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_the_command_of_another_model(
    carrying_file: Any, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = carrying(model=KERAS)
    path = carrying_file(suffix, manifest)
    assert main(["check", str(path)]) == 1
    assert "does not say what the exporting one said" in capsys.readouterr().out
    assert main(["check", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_the_command_of_an_older_file(
    captioner_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(captioner_file)]) == 0
    assert capsys.readouterr().out == (
        "the file carries nothing to check itself by; export it again with this edgecap\n"
    )
    assert main(["check", str(captioner_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checked"] is False


def test_show_sums_it_up_without_the_pictures(
    carrying_file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = carrying_file("onnx", carrying())
    check = read_manifest(path).check
    assert check is not None
    assert main(["show", str(path)]) == 0
    text = capsys.readouterr().out
    assert "  pictures: picture 0, picture 1\n" in text
    assert "  exported on: a processor (x86_64, AVX512-VNNI), numpy 2, 2 threads\n" in text
    assert "  tolerance: 0.01 of a log-probability\n" in text
    assert main(["show", str(path), "--json"]) == 0
    whole = capsys.readouterr().out
    shown = json.loads(whole)["check"]
    assert shown["pictures"][0]["exported"]["ids"] == list(check.pictures[0].exported.ids)
    assert not any(picture.rgb[:40] in whole + text for picture in check.pictures)


def test_watch_starts_by_a_file_that_is_right_and_by_no_other(
    carrying_file: Any, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    script = "import sys; from edgecap_runtime.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", script, "watch", "--check", "--camera", str(inbox)]
    wrong = carrying_file("onnx", carrying(model=KERAS))
    done = subprocess.run([*words, str(wrong)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "does not say what the exporting one said" in done.stderr
    assert done.stdout == ""
    right = carrying_file("onnx", carrying(model=tiny.TinyModel.random()))
    with subprocess.Popen([*words, str(right)], stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert "this machine says what the exporting one said" in watching.stderr.readline()
        # The next line is the loop's own, so that it has started.
        assert "The machine" in watching.stderr.readline()
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(30) == 0


def test_bench_tells_of_the_check(carrying_file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for manifest, passed in (
        (carrying(model=tiny.TinyModel.random()), True),
        (carrying(model=KERAS), False),
        (tiny.tiny_manifest(), None),
    ):
        path = carrying_file("onnx", manifest)
        assert main(["bench", str(path), "--rounds", "1", "--threads", "1", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["check"]
        assert told["passed"] is passed
        assert (told["largest"] is None) is (passed is None)
