"""Files that caption in one call, from image to ids: in plain interpreters, word for word."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from edgecap.decoders.merge import MergeDecoder
from edgecap.decoders.merge_options import MergeOptions
from edgecap_export import ParityError, export, flatbuffer, flatbuffer_view, onnx_view
from edgecap_export.formats import writer_for
from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.cli import main
from edgecap_runtime.errors import OptionError
from edgecap_runtime.manifest import SearchInside

from .conftest import FEATURES, MAX_WORDS, UNITS, WORDS, photographs, prepared
from .prefix_decoders import Bidirectional, Padded

pytestmark = pytest.mark.processor

SUFFIXES = (".tflite", ".onnx")
RECIPES = ("float32", "float16", "dynamic-int8", "static-int8")
KEPT = {
    "step": SearchInside(MAX_WORDS),
    "limited": SearchInside(max_words=6, min_words=3, no_repeat_ngram=2),
}
MOST_GROWTH = 100_000
DOCUMENT = Path(__file__).parents[2] / "docs" / "one-call.md"


def tflite_call(path):
    """The signature in LiteRT, without edgecap."""
    interpreter = Interpreter(str(path))
    assert interpreter.get_signature_list()["caption"] == {
        "inputs": ["image"],
        "outputs": ["ids", "length", "log_probabilities"],
    }

    def call(image):
        answer = interpreter.get_signature_runner("caption")(image=image[None])
        return answer["ids"], answer["length"], answer["log_probabilities"]

    return call


def onnx_call(path):
    """A start that is given the start word, in ONNX Runtime, without edgecap."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    nothing = {
        item.name: np.zeros((0, item.shape[1]), np.float32)
        for item in session.get_inputs()
        if item.name.startswith("state_")
    }

    def call(image):
        first = {"start": np.array(True), "ids": np.array([1], np.int32)}
        given = {**first, "image": image[None], **nothing}
        return session.run(OUTPUTS, given)

    return call


OUTPUTS = ["caption_ids", "caption_length", "caption_log_probabilities"]
CALLS = {".tflite": tflite_call, ".onnx": onnx_call}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", KEPT)
def test_one_call_says_what_the_captioner_says_word_by_word(written, kind, recipe, suffix):
    report = written(kind, recipe, suffix, one_call=True)
    assert report.parity.one_call_exact == 1
    longest = KEPT[kind].max_words
    call = CALLS[suffix](report.path)
    lengths = set()
    with Captioner.load(report.path, threads=1) as captioner:
        for photo in photographs(10, seed=8):
            caption = captioner.caption(photo, beam=1)
            words = caption.ids
            ids, length, scores = call(prepared([photo])[0])
            assert (scores.dtype, scores.shape) == (np.float32, (1, longest))
            assert scores.sum() == pytest.approx(caption.log_probability, abs=1e-4)
            assert (ids.dtype, ids.shape) == (np.int32, (1, longest))
            assert (length.dtype, length.tolist()) == (np.int32, [len(words)])
            assert ids[0].tolist() == [*words, *[2] * (longest - len(words))]
            lengths.add(len(words))
    assert len(lengths) > 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_documented_example_captions(written, tmp_path, monkeypatch, capsys, suffix):
    """The Python of docs/one-call.md as it stands there."""
    name = f"captioner{suffix}"
    shutil.copy(written("step", "static-int8", suffix, one_call=True).path, tmp_path / name)
    Image.fromarray(photographs(3)[2]).save(tmp_path / "photo.png")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if f'"{name}"' in block)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, DOCUMENT.name, "exec"), {})
    said = capsys.readouterr().out.strip()
    with Captioner.load(name, threads=1) as captioner:
        assert said == captioner.caption("photo.png", beam=1).text
    assert len(said.split()) > 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_are_stored_once(written, recipe, suffix):
    plain = written("step", recipe, suffix, search=False)
    more = written("step", recipe, suffix, one_call=True)
    assert 0 < more.size - plain.size < MOST_GROWTH
    # The tiny captioner is so small that a second copy of it would be.
    assert plain.size > 2 * MOST_GROWTH
    assert more.inspection.weight_bytes == plain.inspection.weight_bytes


@pytest.mark.parametrize("recipe", RECIPES)
def test_copies_in_a_tflite_read_the_same_buffers(written, recipe):
    model = flatbuffer.read(written("step", recipe, one_call=True).path.read_bytes())
    buffers = {
        key: {
            tensor.buffer
            for graph in graphs
            for tensor in model.subgraphs[graph].tensors
            if model.buffers[tensor.buffer].data is not None
        }
        for key, graphs in parts(model).items()
    }
    assert buffers["encode"] <= buffers["caption"]
    assert buffers["step"] <= buffers["word"]
    assert len(parts(model)["word"]) == 1
    new = (
        (buffers["caption"] | buffers["greedy"] | buffers["word"])
        - buffers["encode"]
        - buffers["step"]
    )
    assert sum(len(model.buffers[place].data) for place in new) < 1000


def parts(model) -> dict[str, list[int]]:
    """Places of the graphs: of all signatures, and of their loop's body."""
    found = {
        key: [flatbuffer_view.signature(model, key).subgraphIndex]
        for key in ("encode", "step", "greedy", "caption")
    }
    bodies = {
        operator.builtinOptions.bodySubgraphIndex
        for key in ("caption", "greedy")
        for operator in model.subgraphs[found[key][0]].operators
        if flatbuffer_view.operator_name(model, operator) == "WHILE"
    }
    return {**found, "word": list(bodies)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_steps_of_an_onnx_read_the_same_weights(written, recipe):
    model = onnx.load(written("step", recipe, ".onnx", one_call=True).path)
    outer = {tensor.name for tensor in model.graph.initializer}
    branch, loop = model.graph.node
    step, body = (
        next(item.g for item in node.attribute if item.g.name == name)
        for node, name in ((branch, "step"), (loop, "caption"))
    )

    def shared(graph):
        return {name for node in graph.node for name in node.input} & outer

    assert shared(step) == shared(body)
    # The LSTM and the logits; the word vectors of a tiny captioner in int8 are under the limit.
    assert sum(tensor.ByteSize() >= 1024 for tensor in model.graph.initializer) >= 3
    for graph in (step, body):
        assert all(tensor.ByteSize() < 1024 for tensor in graph.initializer)


def test_an_onnx_gives_no_caption_unless_it_is_asked(written):
    """A start without a word and a step, on several rows, are what they are in other files."""
    plain, more = (
        onnxruntime.InferenceSession(written("step", "float32", ".onnx", search=search).path)
        for search in (False, True)
    )
    names = [item.name for item in plain.get_outputs()]
    assert [item.name for item in more.get_outputs()] == [*names, *OUTPUTS]
    pixels = prepared(photographs(3))
    first = {"start": np.array(True), "image": pixels, "ids": np.zeros(0, np.int32)}
    nothing = {f"state_{name}": np.zeros((0, UNITS), np.float32) for name in "hc"}
    states = plain.run(names[1:], {**first, **nothing})
    following = {
        "start": np.array(False),
        "image": pixels[:0],
        "ids": np.array([1, 5, 6], np.int32),
        **{f"state_{name}": value for name, value in zip("hc", states, strict=True)},
    }
    for given in ({**first, **nothing}, following):
        *found, ids, length, scores = more.run(None, given)
        for value, expected in zip(found, plain.run(None, given), strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-6)
        assert (length.tolist(), ids.tolist()) == ([0], [[2] * MAX_WORDS])
        assert not scores.any()


def test_plain_calls_of_a_tflite_still_run_the_step(written):
    interpreter = Interpreter(str(written("step", "float32", one_call=True).path))
    names = {item["name"] for item in interpreter.get_input_details()}
    assert names == {"step/ids", "step/state_h", "step/state_c"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KEPT)
def test_the_file_says_so(written, capsys, kind, suffix):
    path = written(kind, "float32", suffix, one_call=True).path
    assert read_manifest(path).one_call == KEPT[kind]
    assert read_manifest(path).parity["one_call_exact"] == 1
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert f"one call:\n  search: greedy\n  max_words: {KEPT[kind].max_words}\n" in shown
    assert "same captions in one call as word by word: 100.0%" in shown


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_files_have_none(written, suffix):
    report = written("step", "float32", suffix)
    assert read_manifest(report.path).one_call is None
    assert report.parity.one_call_exact is None


@pytest.fixture(scope="module")
def merge_source(source):
    """An untrained captioner that carries the image and two LSTMs; its words are any."""
    keras.utils.set_random_seed(5)
    options = MergeOptions(
        embedding=8,
        word_units=(8,),
        word_projection=8,
        image_projection=8,
        merged_units=(12,),
        hidden=8,
    )
    decoder = MergeDecoder("merge-lstm", options, False, WORDS, FEATURES)
    decoder.build()
    return replace(source, decoder=decoder)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("recipe", ["float32", "dynamic-int8"])
def test_a_merge_decoder_has_it(merge_source, tmp_path, recipe, suffix):
    report = export(
        merge_source,
        tmp_path / f"a{suffix}",
        recipe=recipe,
        images=photographs(10),
        one_call=True,
        gate=False,
    )
    assert report.parity.one_call_exact == 1
    assert report.parity.distinct > 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [Bidirectional, Padded])
def test_a_prefix_decoder_is_refused(source, tmp_path, make, suffix):
    sentence = r"reads all words anew .* such as lstm and merge-lstm; leave --one-call out"
    with pytest.raises(OptionError, match=sentence) as raised:
        export(replace(source, decoder=make()), tmp_path / f"a{suffix}", one_call=True)
    assert str(raised.value).count(". ") == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", ["a word", "the length", "the end"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_call_that_says_something_else_is_refused(
    source, few, tmp_path, monkeypatch, suffix, wrong
):
    target = tmp_path / f"a{suffix}"
    writer = type(writer_for(target))
    opened = writer.open_caption

    def lying(self, path, manifest, threads):
        call, seen = opened(self, path, manifest, threads), []

        def changed(image):
            ids, length = call(image)
            seen.append(image)
            if len(seen) != 3:
                return ids, length
            ids = ids.copy()
            place = {"a word": 0, "the length": 0, "the end": length}[wrong]
            ids[place] += wrong != "the length"
            return ids, length + (wrong == "the length")

        return changed

    monkeypatch.setattr(writer, "open_caption", lying)
    sentence = "1 of 12 captions in one call .* leave the one call out"
    with pytest.raises(ParityError, match=sentence) as raised:
        export(source, target, prover=few, one_call=True)
    assert os.listdir(tmp_path) == []
    assert raised.value.parity.one_call_exact == pytest.approx(11 / 12)


def test_a_loop_anywhere_else_in_an_onnx_is_still_forbidden(written):
    model = onnx.load(written("step", "float32", ".onnx", one_call=True).path)
    assert onnx_view.operators(model, "step")[1] == []
    branch, loop = model.graph.node
    body = next(item.g for item in loop.attribute if item.g.name)
    inner = onnx.NodeProto()
    inner.CopyFrom(loop)
    next(item.g for item in inner.attribute if item.g.name).name = "other"
    for graph in (model.graph, *(item.g for item in branch.attribute), body):
        graph.node.append(inner)
        assert onnx_view.operators(model, "step")[1] == ["Loop"]
        del graph.node[-1]
    body.node.append(branch)
    assert onnx_view.operators(model, "step")[1] == ["If"]


def test_a_loop_anywhere_else_in_a_tflite_is_still_forbidden(written):
    model = flatbuffer.read(written("step", "float32", one_call=True).path.read_bytes())
    assert flatbuffer_view.operators(model, "step")[1] == []
    places = parts(model)
    loop = [
        operator
        for operator in model.subgraphs[places["caption"][0]].operators
        if flatbuffer_view.operator_name(model, operator) == "WHILE"
    ]
    assert len(loop) == 1
    for key in ("encode", "step", "word"):
        graph = model.subgraphs[places[key][0]]
        kept = list(graph.operators)
        graph.operators = [*kept, *loop]
        assert flatbuffer_view.operators(model, "step")[1] == ["WHILE"]
        graph.operators = kept
