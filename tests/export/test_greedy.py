"""The rules of greedy search as operations, against the runtime's search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgecap_export import flatbuffer
from edgecap_export.greedy import GreedyRules, choose, count_words
from edgecap_export.onnx_builder import NodeBuilder
from edgecap_export.reference import log_softmax
from edgecap_export.tflite_builder import GraphBuilder
from edgecap_runtime.decoding import decode, read_words
from edgecap_runtime.errors import OptionError
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.vocabulary import Vocabulary

from .conftest import tiny_vocabulary

WORDS = 7


class NumpyOperations:
    """The operations as they are meant, at once."""

    def constant(self, values):
        return values

    def add(self, one, other):
        return one + other

    def maximum(self, one, other):
        return np.maximum(one, other)

    def equal(self, one, other):
        return one == other

    def less(self, one, other):
        return one < other

    def both(self, one, other):
        return one & other

    def all_of_rows(self, given):
        return given.all(axis=1)

    def count_false(self, given):
        return np.array([np.sum(~given)], np.int32)

    def select(self, condition, one, other):
        return np.where(condition, one, other)

    def gather(self, values, places):
        # numpy would take a negative place from the end, where an interpreter fails.
        assert places.min() >= 0
        return values[places]

    def add_at(self, logits, places, values):
        changed = logits.copy()
        np.add.at(changed[0], places, values)
        return changed

    def argmax(self, logits):
        return logits.argmax(axis=1).astype(np.int32)

    def log_probability(self, logits, token):
        return log_softmax(logits)[0, token].astype(np.float32)


def search(rules: GreedyRules, logits: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """The loop around the rules; logits [L, V] are what the step says at each place."""
    ops = NumpyOperations()
    said = np.full(rules.max_words, rules.end_id, np.int32)
    scores = np.zeros(rules.max_words, np.float32)
    for length in range(rules.max_words):
        at = np.array([length], np.int32)
        token, said, scores = choose(ops, rules, logits[length : length + 1], said, scores, at)
        if token[0] == rules.end_id:
            break
    return said, int(count_words(ops, rules, said)[0]), scores


@st.composite
def searches(draw):
    """Rules of any kind, and logits with many equals, in which words like to repeat."""
    longest = draw(st.integers(1, 7))
    end = draw(st.integers(0, WORDS - 1))
    never = draw(st.sets(st.integers(0, WORDS - 1)))
    start = draw(st.integers(0, WORDS - 1))
    rules = GreedyRules(
        words=WORDS,
        start_id=start,
        end_id=end,
        forbidden=tuple(sorted((never | {start}) - {end})),
        max_words=longest,
        min_words=draw(st.integers(0, longest)),
        no_repeat_ngram=draw(st.integers(0, 8)),
    )
    scores = st.lists(st.integers(-3, 3), min_size=WORDS, max_size=WORDS)
    rows = draw(st.lists(scores, min_size=longest, max_size=longest))
    favourite = draw(st.lists(st.integers(0, 2), min_size=WORDS, max_size=WORDS))
    return rules, (np.array(rows) + 2 * np.array(favourite)).astype(np.float32)


@settings(max_examples=500, deadline=None)
@given(searches())
def test_the_rules_are_those_of_the_runtimes_greedy_search(case):
    rules, logits = case
    vocabulary = Vocabulary(
        tuple("abcdefg"), rules.start_id, rules.end_id, never_said=rules.forbidden
    )
    place = -1

    def step(ids, state):
        nonlocal place
        place += 1
        return logits[place : place + 1], state

    state = {"h": np.zeros((1, 1), np.float32)}
    expected = decode(step, state, vocabulary, rules.options())[0]
    ids, length, scores = search(rules, logits)
    row = [*expected.ids, *[rules.end_id] * (rules.max_words - len(expected.ids))]
    assert (ids.tolist(), length) == (row, len(expected.ids))
    found = read_words((ids, length, scores), rules.options())
    assert found is not None
    assert (found.ids, found.ended) == (expected.ids, expected.ended)
    assert found.log_probability == pytest.approx(expected.log_probability, abs=1e-4)


RULES = GreedyRules(WORDS, start_id=1, end_id=2, forbidden=(0, 1), max_words=6)
CASES = {
    "plain": RULES,
    "nothing forbidden": replace(RULES, start_id=2, forbidden=()),
    "one word": replace(RULES, max_words=1),
    "least": replace(RULES, min_words=4),
    "no word twice": replace(RULES, no_repeat_ngram=1),
    "no pair twice": replace(RULES, no_repeat_ngram=2),
    "no three twice": replace(RULES, no_repeat_ngram=3, min_words=2),
    "too long to repeat": replace(RULES, no_repeat_ngram=6),
    "runs dry": replace(RULES, no_repeat_ngram=1, min_words=6),
}


def in_tflite(rules: GreedyRules):
    """A .tflite graph of nothing but the choice of a word."""
    model = schema.ModelT(
        version=3,
        operatorCodes=[],
        subgraphs=[],
        buffers=[schema.BufferT()],
        signatureDefs=[],
    )
    ops = GraphBuilder(model, "choice")
    inputs = [
        ops.tensor([1, WORDS], "float32"),
        ops.tensor([rules.max_words], "int32"),
        ops.tensor([rules.max_words], "float32"),
        ops.tensor([1], "int32"),
    ]
    token, said, scores = choose(ops, rules, *inputs)
    ops.limits(inputs, [token, said, scores, count_words(ops, rules, said)])
    interpreter = Interpreter(model_content=flatbuffer.write(model))
    interpreter.allocate_tensors()

    def run(*values):
        for item, value in zip(interpreter.get_input_details(), values, strict=True):
            interpreter.set_tensor(item["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(item["index"]) for item in interpreter.get_output_details()]

    return run


def in_onnx(rules: GreedyRules):
    """An .onnx graph of the same."""
    ops = NodeBuilder("choice/")
    token, said, scores = choose(ops, rules, "logits", "before", "scores", "length")
    count = count_words(ops, rules, said)
    graph = helper.make_graph(
        ops.nodes,
        "choice",
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, WORDS]),
            helper.make_tensor_value_info("before", TensorProto.INT32, [rules.max_words]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rules.max_words]),
            helper.make_tensor_value_info("length", TensorProto.INT32, [1]),
        ],
        [
            helper.make_tensor_value_info(token, TensorProto.INT32, [1]),
            helper.make_tensor_value_info(said, TensorProto.INT32, [rules.max_words]),
            helper.make_tensor_value_info(scores, TensorProto.FLOAT, [rules.max_words]),
            helper.make_tensor_value_info(count, TensorProto.INT32, [1]),
        ],
        initializer=ops.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [item.name for item in session.get_inputs()]
    return lambda *values: session.run(None, dict(zip(names, values, strict=True)))


BUILT = {".tflite": in_tflite, ".onnx": in_onnx}


@pytest.mark.parametrize("suffix", BUILT)
@pytest.mark.parametrize("case", CASES)
def test_interpreters_compute_what_is_meant(suffix, case):
    rules = CASES[case]
    run = BUILT[suffix](rules)
    ops = NumpyOperations()
    random = np.random.default_rng(4)
    for _ in range(200):
        logits = random.integers(-4, 5, (1, WORDS)).astype(np.float32)
        length = random.integers(0, rules.max_words, 1).astype(np.int32)
        said = np.full(rules.max_words, rules.end_id, np.int32)
        said[: length[0]] = random.integers(3, 6, length[0])
        before = np.zeros(rules.max_words, np.float32)
        before[: length[0]] = random.normal(-2, 1, length[0])
        token, chosen, scores = choose(ops, rules, logits, said, before, length)
        expected = [token, chosen, scores, count_words(ops, rules, chosen)]
        for found, value in zip(run(logits, said, before, length), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=0, atol=1e-5)
            assert found.dtype == value.dtype


def captioner(defaults: DecodingOptions):
    """What the rules are taken from, in the place of a trained captioner."""
    decoder = SimpleNamespace(name="any", kind="step")
    return SimpleNamespace(decoder=decoder, vocabulary=tiny_vocabulary(), defaults=defaults)


def test_rules_are_the_captioners_defaults():
    defaults = DecodingOptions(beam=4, max_words=6, min_words=3, no_repeat_ngram=2)
    assert GreedyRules.of(captioner(defaults)) == GreedyRules(
        words=len(tiny_vocabulary()),
        start_id=1,
        end_id=2,
        forbidden=(0, 1, 3),
        max_words=6,
        min_words=3,
        no_repeat_ngram=2,
    )


@dataclass(frozen=True)
class MoreOptions(DecodingOptions):
    """Rules of a later version."""

    no_rhymes: bool = False


def test_a_rule_that_is_not_known_is_refused():
    assert GreedyRules.of(captioner(MoreOptions(max_words=5))).max_words == 5
    with pytest.raises(OptionError, match=r"no_rhymes = True .* leave --one-call out"):
        GreedyRules.of(captioner(MoreOptions(max_words=5, no_rhymes=True)))
