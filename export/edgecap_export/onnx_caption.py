"""The search of an .onnx file: a Loop behind encoder and step.

It goes on from the first state, in one call from image to ids, or from the state that a step is
given with `greedy`: that step says the first word, and the Loop the others. Built around the
finished step, after quantization: nodes are copied, their weights stand once in the outer graph.
The Loop stands there too, and turns no time unless it is asked for: ONNX Runtime prepares weights
(packs them for its kernels) in their own graph and those directly inside it alone, and in a Loop
inside a branch a step in int8 took three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecap_export.greedy import CaptionCall, GreedyRules, choose
from edgecap_export.onnx_builder import NodeBuilder

if TYPE_CHECKING:
    from edgecap_export.step_graph import CaptionerGraph
    from edgecap_runtime.manifest import Manifest

__all__ = [
    "BEGIN",
    "CAPTION",
    "GREEDY",
    "MOST",
    "RESULTS",
    "most_words",
    "no_words",
    "open_caption",
    "other_words",
    "search",
]

CAPTION = "caption"
"""Name of the Loop's body."""
BEGIN = "begin"
"""Name of the branch that chooses the first word of a step's answer."""
GREEDY = "greedy"
"""Name of the input, false unless it is given, that a step is to be searched on from."""
RESULTS = ("caption_ids", "caption_length", "caption_log_probabilities")
"""The outputs' names."""
MOST = "caption_most"
"""Name, in either branch behind its prefix, of how many times the Loop may turn, int64 scalar."""

_CARRIED = ("said", "length", "scores", "token")
"""What the Loop carries, and the state: the ids and their log probabilities, as rows [1, L], how
many words there are and the last one, [1]."""


def most_words(prefix: str, rules: GreedyRules) -> list[Any]:
    """Give the encoder's nodes for `MOST`: the most words if there is one to begin by, else 0."""
    builder = NodeBuilder(f"{prefix}{CAPTION}_")
    asked = builder.node("Cast", [builder.node("Size", ["ids"])], to=TensorProto.BOOL)
    choices = [_constant(builder, value) for value in (rules.max_words, 0)]
    builder.node("Where", [asked, *choices], prefix + MOST)
    return builder.nodes


def no_words(prefix: str) -> list[Any]:
    """Give the encoder's node for `MOST` where there is no call from image to ids: 0."""
    builder = NodeBuilder(f"{prefix}{CAPTION}_")
    _constant(builder, 0, prefix + MOST)
    return builder.nodes


def other_words(prefix: str, rules: GreedyRules) -> list[Any]:
    """Give the step's nodes for `MOST`: all words but the one it says itself if asked, else 0."""
    builder = NodeBuilder(f"{prefix}{CAPTION}_")
    choices = [_constant(builder, value) for value in (rules.max_words - 1, 0)]
    builder.node("Where", [GREEDY, *choices], prefix + MOST)
    return builder.nodes


def search(
    stepper: Any, graph: CaptionerGraph, rules: GreedyRules
) -> tuple[list[Any], list[Any], list[Any]]:
    """Give the search's nodes for the outer graph, its constants, and the results' descriptions.

    stepper: the step's graph, whose large weights are in the outer graph by now. The nodes are an
    If, which chooses the first word by a step's answer where `GREEDY` is true, and the Loop, whose
    state is that of the outer graph.
    """
    row = (1, rules.max_words)
    nothing = [
        numpy_helper.from_array(np.full(row, rules.end_id, np.int32), "nothing/said"),
        numpy_helper.from_array(np.zeros(1, np.int32), "nothing/length"),
        numpy_helper.from_array(np.zeros(row, np.float32), "nothing/scores"),
        numpy_helper.from_array(np.array(False), GREEDY),
    ]
    begun = [f"{BEGIN}/{name}" for name in (*_CARRIED, "going")]
    begin = helper.make_node(
        "If",
        [GREEDY],
        begun,
        name=BEGIN,
        then_branch=_first_word(graph, rules),
        else_branch=_no_word(rules),
    )
    states = [f"next_state_{name}" for name in graph.state]
    last = [f"last/{name}" for name in ("token", *graph.state)]
    loop = helper.make_node(
        "Loop",
        [MOST, begun[-1], *begun[:-1], *states],
        [*RESULTS, *last],
        name="search",
        body=_body(stepper, graph, rules),
    )
    kinds = (TensorProto.INT32, TensorProto.INT32, TensorProto.FLOAT)
    results = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in zip(RESULTS, kinds, (row, [1], row), strict=True)
    ]
    return [begin, loop], nothing, results


def open_caption(path: Path, manifest: Manifest, threads: int) -> CaptionCall:
    """Open a file in a plain session.

    Gives a function of an image, uint8 [H, W, 3], to the row of ids, int32 [L], and its length.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Beside another session its threads would wait for work and keep that one from it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed: dict[str, NDArray[Any]] = {
        "start": np.array(True),
        "ids": np.array([manifest.vocabulary.start_id], np.int32),
    }
    for item in manifest.state:
        feed[f"state_{item.name}"] = np.empty((0, *item.shape), np.float32)

    def call(image: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
        ids, length = session.run(list(RESULTS[:2]), {**feed, "image": image[None]})
        return ids[0], int(length[0])

    return call


def _first_word(graph: CaptionerGraph, rules: GreedyRules) -> Any:
    """Build the branch that chooses a word by the outer graph's logits."""
    word = NodeBuilder(f"{BEGIN}/first_")
    results = _chosen(word, rules, "logits", {name: f"nothing/{name}" for name in _CARRIED[:-1]})
    return helper.make_graph(
        word.nodes, BEGIN, [], _described(results, rules), initializer=word.constants
    )


def _no_word(rules: GreedyRules) -> Any:
    """Build the branch that leaves the first word to the Loop."""
    builder = NodeBuilder(f"{BEGIN}/no_")
    given = [*(f"nothing/{name}" for name in _CARRIED[:-1]), "ids"]
    results = [builder.node("Identity", [name]) for name in given]
    going = numpy_helper.from_array(np.array(True))
    results.append(builder.node("Constant", [], value=going))
    return helper.make_graph(builder.nodes, f"no_{BEGIN}", [], _described(results, rules, None))


def _chosen(
    word: NodeBuilder, rules: GreedyRules, logits: str, carried: Mapping[str, str]
) -> list[str]:
    """Choose a word; gives the names of `_CARRIED` and of whether the caption goes on."""
    # Outside they are rows.
    said, scores = (word.reshape(carried[name], [-1]) for name in ("said", "scores"))
    token, said, scores = choose(word, rules, logits, said, scores, carried["length"])
    ended = word.equal(token, word.constant(np.array([rules.end_id], np.int32)))
    going = word.node("Not", [ended])
    return [
        word.reshape(said, [1, -1]),
        word.add(carried["length"], word.whole(going)),
        word.reshape(scores, [1, -1]),
        token,
        word.node("Squeeze", [going]),
    ]


def _described(names: Sequence[str], rules: GreedyRules, tokens: int | None = 1) -> list[Any]:
    """Describe tensors of `_CARRIED` and, if it is among the names, the condition to go on."""
    row = [1, rules.max_words]
    kinds: tuple[tuple[Any, Sequence[int | None]], ...] = (
        (TensorProto.INT32, row),
        (TensorProto.INT32, [1]),
        (TensorProto.FLOAT, row),
        (TensorProto.INT32, [tokens]),
        (TensorProto.BOOL, []),
    )
    return [
        helper.make_tensor_value_info(name, *kind) for name, kind in zip(names, kinds, strict=False)
    ]


def _body(stepper: Any, graph: CaptionerGraph, rules: GreedyRules) -> Any:
    """Build the body of the Loop: one step and the choice of a word."""
    word = NodeBuilder(f"{CAPTION}/")
    carried = {name: f"{CAPTION}/{name}" for name in _CARRIED}
    states = {f"state_{name}": f"{CAPTION}/state_{name}" for name in graph.state}
    names = word.copied(stepper, {"ids": carried["token"], **states})
    *results, going = _chosen(word, rules, names[f"{graph.kind}/logits"], carried)
    following = [names[f"{graph.kind}/next_state_{name}"] for name in graph.state]
    described = helper.make_tensor_value_info
    condition: tuple[Any, list[int]] = (TensorProto.BOOL, [])

    def all_described(names: Sequence[str], state: Sequence[str]) -> list[Any]:
        widths = zip(state, graph.state.values(), strict=True)
        floats = [described(name, TensorProto.FLOAT, [None, width]) for name, width in widths]
        return [*_described(names, rules), *floats]

    inputs = [
        described(f"{CAPTION}/turn", TensorProto.INT64, []),
        described(f"{CAPTION}/going", *condition),
        *all_described(list(carried.values()), list(states.values())),
    ]
    outputs = [described(going, *condition), *all_described(results, following)]
    return helper.make_graph(word.nodes, CAPTION, inputs, outputs, initializer=word.constants)


def _constant(builder: NodeBuilder, value: int, name: str = "") -> str:
    return builder.node(
        "Constant", [], name, value=numpy_helper.from_array(np.array(value, np.int64))
    )
