"""The samples for other languages, built and run: they say what the Python runtime says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
C = ROOT / "runtime" / "embedding" / "c"
JS = ROOT / "runtime" / "embedding" / "js"
DOCUMENT = ROOT / "docs" / "embedding.md"
STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

compiler = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(compiler is None, reason="needs a C compiler: gcc or clang")

# Searches with rules that the captioner's own file doesn't ask for.
RULES = [{}, {"max_words": 4}, {"min_words": 12, "max_words": 15, "no_repeat_ngram": 2}]


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs {name}")
    return Path(spec.origin).parent


def build(target: Path, source: str, *options: str | Path) -> Path:
    assert compiler is not None
    files = [C / source, C / "captioning.c"]
    command = [compiler, *STRICT, *files, *options, "-o", target]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def litert_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = package("ai_edge_litert") / "libLiteRt.so"
    if not library.exists():
        pytest.skip("this ai-edge-litert has no libLiteRt.so (Linux x86-64 and arm64 have it)")
    folder = tmp_path_factory.mktemp("litert")
    return build(folder / "litert", "litert.c", library, f"-Wl,-rpath,{library.parent}")


@pytest.fixture(scope="session")
def onnxruntime_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    places = [os.environ.get("EDGECAP_ORT_INCLUDE", ""), "/usr/include/onnxruntime"]
    headers = [place for place in places if place and Path(place, "onnxruntime_c_api.h").exists()]
    if not headers:
        pytest.skip(
            "needs onnxruntime_c_api.h: Debian 13's libonnxruntime-dev has it, and so has each "
            "release of ONNX Runtime; say where by EDGECAP_ORT_INCLUDE"
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


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node 20 or newer")
    if not (JS / "node_modules" / "onnxruntime-node").exists():
        pytest.skip("needs onnxruntime-node: cd runtime/embedding/js && npm ci --ignore-scripts")
    return found


def answer(command, pixels: bytes) -> list[str]:
    done = subprocess.run([str(word) for word in command], input=pixels, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8").splitlines()


def refusal(command, pixels: bytes) -> str:
    """The last line that a program says of what it can't use."""
    done = subprocess.run([str(word) for word in command], input=pixels, capture_output=True)
    assert done.returncode == 2, done.stdout
    return done.stderr.decode("utf-8").splitlines()[-1]


def from_c(command, pixels: bytes):
    found = []
    for line in answer(command, pixels):
        ids, _, words = line.partition("\t")
        found.append((tuple(map(int, ids.split())), tuple(words.split(" ")) if words else ()))
    return found


def from_node(command, pixels: bytes):
    captions = [json.loads(line) for line in answer(command, pixels)]
    return [(tuple(one["ids"]), tuple(one["words"])) for one in captions]


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


@needs_compiler
def test_litert_in_c_captions_in_one_call(litert_program, tflite_case, vocabulary_file) -> None:
    command = [litert_program, tflite_case.path, vocabulary_file]
    assert from_c(command, tflite_case.pixels) == tflite_case.python()


@needs_compiler
@pytest.mark.parametrize("rules", RULES)
def test_litert_in_c_captions_word_by_word(
    litert_program, tflite_case, vocabulary_file, rules
) -> None:
    numbers = rules_of(tflite_case, **rules)
    command = [litert_program, tflite_case.path, vocabulary_file, *numbers]
    assert from_c(command, tflite_case.pixels) == tflite_case.python(**rules)


@needs_compiler
def test_onnxruntime_in_c_captions_in_one_call(onnxruntime_program, onnx_case) -> None:
    command = [onnxruntime_program, onnx_case.path, onnx_case.manifest.vocabulary.start_id]
    assert from_c(command, onnx_case.pixels) == onnx_case.python()


@needs_compiler
@pytest.mark.parametrize("rules", RULES)
def test_onnxruntime_in_c_captions_word_by_word(onnxruntime_program, onnx_case, rules) -> None:
    command = [onnxruntime_program, onnx_case.path, *rules_of(onnx_case, **rules)]
    assert from_c(command, onnx_case.pixels) == onnx_case.python(**rules)


@needs_compiler
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


@pytest.mark.parametrize("flags", [[], ["--steps"]], ids=["one-call", "steps"])
def test_node_captions(node, onnx_case, flags) -> None:
    command = [node, JS / "caption.js", onnx_case.path, *flags]
    assert from_node(command, onnx_case.pixels) == onnx_case.python()


@pytest.mark.parametrize("rules", [{}, {"min_words": 5, "no_repeat_ngram": 2}])
@pytest.mark.parametrize("kind", ["step", "bare", "fixed"])
def test_node_runs_each_kind_of_decoder(node, tiny_onnx, kind, rules) -> None:
    case = tiny_onnx(kind, **rules)
    wanted = case.python()
    assert len(set(wanted)) > 3
    assert from_node([node, JS / "caption.js", case.path], case.pixels) == wanted


def test_node_joins_words_as_python_does(node, tiny_onnx) -> None:
    case = tiny_onnx("step", min_words=8)
    texts = [
        json.loads(line)["text"]
        for line in answer([node, JS / "caption.js", case.path], case.pixels)
    ]
    assert texts == [case.manifest.vocabulary.join(words) for _, words in case.python()]
    assert any("'s" in text and " 's" not in text for text in texts)


def test_node_refuses_with_one_sentence(node, tiny_onnx, tmp_path) -> None:
    case = tiny_onnx("step")
    command = [node, JS / "caption.js", case.path]
    said = refusal(command, case.pixels[:100])
    assert said.startswith("error: The photograph has 100 bytes; this captioner takes 192 (RGB, 8")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(case.path.read_bytes()[:-10])
    said = refusal([node, JS / "caption.js", cut], case.pixels)
    assert said == "error: The file is truncated; copy or export it again."


def test_the_page_shows_the_samples_as_they_are() -> None:
    """Each piece of C and JavaScript on the page stands so in a sample that is run."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"```(c|js)\n(.*?)```", text, re.DOTALL)
    assert {language for language, _ in blocks} == {"c", "js"}
    sources = {
        "c": [path.read_text("utf-8") for path in C.glob("*.c")],
        "js": [path.read_text("utf-8") for path in JS.glob("*.js")],
    }
    for language, block in blocks:
        assert any(block in source for source in sources[language]), block
