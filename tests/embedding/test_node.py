"""The sample for Node, run: it says what the Python runtime says."""

from __future__ import annotations

import json
import shutil

import pytest
from programs import JS, answer, from_node, refusal

pytestmark = pytest.mark.xdist_group("embedding")


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node 20 or newer")
    if not (JS / "node_modules" / "onnxruntime-node").exists():
        pytest.skip("needs onnxruntime-node: cd runtime/embedding/js && npm ci --ignore-scripts")
    return found


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
