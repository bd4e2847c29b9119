"""The samples in C, built and run: they say what the Python runtime says."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from programs import ROOT, build, compiler, from_c, package, refusal

pytestmark = [
    pytest.mark.skipif(compiler is None, reason="needs a C compiler: gcc or clang"),
    # The captioners are exported once a process.
    pytest.mark.xdist_group("embedding"),
]

# Searches with rules that the captioner's own file doesn't ask for.
RULES = [{}, {"max_words": 4}, {"min_words": 12, "max_words": 15, "no_repeat_ngram": 2}]


@pytest.fixture(scope="session")
def litert_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = package("ai_edge_litert") / "libLiteRt.so"
    if not library.exists():
        pytest.skip("this ai-edge-litert has no libLiteRt.so (Linux x86-64 and arm64 have it)")
    folder = tmp_path_factory.mktemp("litert")
    return build(folder / "litert", "litert.c", library, f"-Wl,-rpath,{library.parent}")


@pytest.fixture(scope="session")
def onnxruntime_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("EDGECAP_ORT_INCLUDE", "")
    places = [named, "/usr/include/onnxruntime", ROOT / ".devices" / "onnxruntime"]
    headers = [place for place in places if place and Path(place, "onnxruntime_c_api.h").exists()]
    if not headers:
        pytest.skip(
            "needs onnxruntime_c_api.h: `make test-devices` gets it, and so does Debian 13's "
            "libonnxruntime-dev; from elsewhere, say where by EDGECAP_ORT_INCLUDE"
        )
    libraries = sorted((package("onnxruntime") / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("this onnxruntime has no libonnxruntime.so (wheels since 1.18 for Linux do)")
    folder = tmp_path_factory.mktemp("onnxruntime")
    # The loader looks for the library by its short name, which the wheel hasn't.
    library = folder / "libonnxruntime.so.1"
    library.symlink_to(libraries[0])
    options = ["-isystem", headers[0], library, f"-Wl,-rpath,{folder}"]
    return build(folder / "onnxruntime", "onnxruntime.c", *options)


def rules_of(case, **rules: int) -> list[int]:
    """The numbers of `rules_of` in captioning.h."""
    vocabulary, defaults = case.manifest.vocabulary, case.manifest.defaults
    numbers = [
        rules.get(name, getattr(defaults, name))
        for name in ("max_words", "min_words", "no_repeat_ngram")
    ]
    return [vocabulary.start_id, vocabulary.end_id, *numbers, *vocabulary.never_said]


@pytest.fixture(scope="session")
def vocabulary_file(tflite_case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "vocabulary.txt"
    with zipfile.ZipFile(tflite_case.path) as entries:
        path.write_bytes(entries.read("vocabulary.txt"))
    return path


def test_captions_differ(tflite_case) -> None:
    """A captioner that says the same of every photograph would prove little."""
    assert len(set(tflite_case.python())) > 8


def test_litert_in_c_captions_in_one_call(litert_program, tflite_case, vocabulary_file) -> None:
    command = [litert_program, tflite_case.path, vocabulary_file]
    assert from_c(command, tflite_case.pixels) == tflite_case.python()


@pytest.mark.parametrize("rules", RULES)
def test_litert_in_c_captions_word_by_word(
    litert_program, tflite_case, vocabulary_file, rules
) -> None:
    numbers = rules_of(tflite_case, **rules)
    command = [litert_program, tflite_case.path, vocabulary_file, *numbers]
    assert from_c(command, tflite_case.pixels) == tflite_case.python(**rules)


def test_onnxruntime_in_c_captions_in_one_call(onnxruntime_program, onnx_case) -> None:
    command = [onnxruntime_program, onnx_case.path, onnx_case.manifest.vocabulary.start_id]
    assert from_c(command, onnx_case.pixels) == onnx_case.python()


@pytest.mark.parametrize("rules", RULES)
def test_onnxruntime_in_c_captions_word_by_word(onnxruntime_program, onnx_case, rules) -> None:
    command = [onnxruntime_program, onnx_case.path, *rules_of(onnx_case, **rules)]
    assert from_c(command, onnx_case.pixels) == onnx_case.python(**rules)


def test_programs_in_c_refuse_with_one_sentence(
    litert_program, tflite_case, vocabulary_file
) -> None:
    command = [litert_program, tflite_case.path, vocabulary_file]
    assert re.match(r"error: A photograph has 100 bytes; .* 150528", refusal(command, bytes(100)))
    command = [litert_program, vocabulary_file, vocabulary_file]
    assert re.match(r"error: .*vocabulary\.txt does not load in LiteRT", refusal(command, b""))
    command = [litert_program, tflite_case.path, "nowhere.txt"]
    assert refusal(command, b"") == "error: Unable to open nowhere.txt; check the name."
    command = [litert_program, tflite_case.path, vocabulary_file, 1, 2]
    assert re.match(r"error: 2 numbers are no rules; give START END", refusal(command, b""))


GOLDEN = ROOT / "tests" / "web" / "golden"
PREFIXES = r"error: \S+ reads the whole prefix for each word .*; caption it by the Python runtime"


@pytest.mark.parametrize("rules", [[], [1, 2, 20, 0, 0]], ids=["one-call", "steps"])
@pytest.mark.parametrize("name", ["tiny-bare.tflite", "tiny-fixed.tflite"])
def test_litert_in_c_refuses_prefixes(litert_program, vocabulary_file, name, rules) -> None:
    command = [litert_program, GOLDEN / name, vocabulary_file, *rules]
    assert re.match(PREFIXES, refusal(command, b""))


@pytest.mark.parametrize("rules", [[1], [1, 2, 20, 0, 0]], ids=["one-call", "steps"])
@pytest.mark.parametrize("kind", ["bare", "fixed"])
def test_onnxruntime_in_c_refuses_prefixes(onnxruntime_program, tiny_onnx, kind, rules) -> None:
    command = [onnxruntime_program, tiny_onnx(kind).path, *rules]
    assert re.match(PREFIXES, refusal(command, b""))


def test_litert_in_c_says_that_no_search_is_inside(litert_program, vocabulary_file) -> None:
    said = refusal([litert_program, GOLDEN / "tiny-step.tflite", vocabulary_file], b"")
    assert said.startswith("error: The file has no signature caption; export it with --one-call")
