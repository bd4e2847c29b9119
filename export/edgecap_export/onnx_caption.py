"""The search of an .onnx file: a Loop behind the encoder.

A start that is given a word goes on to all others, from an image's first state or from one that it
is given. Built around the finished step, after quantization: nodes are copied, their weights stand
once in the outer graph. The Loop stands there too, and turns no time unless a start is given a
word: ONNX Runtime prepares weights (packs them for its kernels) in their own graph and those
directly inside it alone, and in a Loop inside a branch a step in int8 took three times as long.
"""

from __future__ import annotations

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
    "CAPTION",
    "MOST",
    "RESULTS",
    "given_states",
    "most_words",
    "no_words",
    "open_caption",
    "search",
]

CAPTION = "caption"
"""Name of the Loop's body."""
RESULTS = ("caption_ids", "caption_length", "caption_log_probabilities")
"""The outputs' names."""
MOST = "caption_most"
"""Name, in either branch behind its prefix, of how many times the Loop may turn, int64 scalar."""


def most_words(prefix: str, rules: GreedyRules) -> list[Any]:
    """Give the encoder's nodes for `MOST`: the most words if there is one to begin by, else 0."""
    builder = NodeBuilder(f"{prefix}{CAPTION}_")
    asked = builder.node("Cast", [builder.node("Size", ["ids"])], to=TensorProto.BOOL)
    choices = [_constant(builder, value) for value in (rules.max_words, 0)]
    builder.node("Where", [asked, *choices], prefix + MOST)
    return builder.nodes


def given_states(prefix: str, graph: CaptionerGraph) -> list[Any]:
    """Give the encoder's nodes that put states which a start is given before those of its images.

    Of one of both there are no rows. An encoder without images passes over each of its nodes: 46
    microseconds, half a step (MobileNet, 2 threads).
    """
    builder = NodeBuilder(f"{prefix}{CAPTION}_given_")
    for name in graph.state:
        states = [f"state_{name}", f"{prefix}state_{name}"]
        builder.node("Concat", states, f"{prefix}next_state_{name}", axis=0)
    return builder.nodes


def no_words(prefix: str) -> list[Any]:
    """Give the step's node for `MOST`."""
    builder = NodeBuilder(f"{prefix}{CAPTION}_")
    _constant(builder, 0, prefix + MOST)
    return builder.nodes


def search(
    stepper: Any, graph: CaptionerGraph, rules: GreedyRules
) -> tuple[Any, list[Any], list[Any]]:
    """Give the Loop, for the outer graph, what it begins with, and descriptions of the results.

    stepper: the step's graph, whose large weights are in the outer graph by now. The Loop carries
    the row of ids, its length, the ids' log probabilities, the last word and the state, which is
    that of the outer graph.
    """
    row = (1, rules.max_words)
    begin = [
        numpy_helper.from_array(np.full(row, rules.end_id, np.int32), "begin/ids"),
        numpy_helper.from_array(np.zeros(1, np.int32), "begin/length"),
        numpy_helper.from_array(np.zeros(row, np.float32), "begin/scores"),
    ]
    states = [f"next_state_{name}" for name in graph.state]
    loop = helper.make_node(
        "Loop",
        # No condition before the first word.
        [MOST, "", *(tensor.name for tensor in begin), "ids", *states],
        [*RESULTS, *(f"last/{name}" for name in ("token", *graph.state))],
        name="search",
        body=_body(stepper, graph, rules),
    )
    kinds = (TensorProto.INT32, TensorProto.INT32, TensorProto.FLOAT)
    results = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in zip(RESULTS, kinds, (row, [1], row), strict=True)
    ]
    return loop, begin, results


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


def _body(stepper: Any, graph: CaptionerGraph, rules: GreedyRules) -> Any:
    """Build the body of the Loop: one step and the choice of a word."""
    word = NodeBuilder(f"{CAPTION}/")
    carried = {name: f"{CAPTION}/{name}" for name in ("said", "length", "scores", "ids")}
    carried |= {f"state_{name}": f"{CAPTION}/state_{name}" for name in graph.state}
    names = word.copied(stepper, carried)
    # Outside they are rows.
    said, scores = (word.reshape(carried[name], [-1]) for name in ("said", "scores"))
    logits = names[f"{graph.kind}/logits"]
    token, said, scores = choose(word, rules, logits, said, scores, carried["length"])
    ended = word.equal(token, word.constant(np.array([rules.end_id], np.int32)))
    going = word.node("Not", [ended])
    results = [
        word.node("Squeeze", [going]),
        word.reshape(said, [1, -1]),
        word.add(carried["length"], word.whole(going)),
        word.reshape(scores, [1, -1]),
        token,
        *(names[f"{graph.kind}/next_state_{name}"] for name in graph.state),
    ]
    described = helper.make_tensor_value_info
    row = [1, rules.max_words]
    kinds = [
        (TensorProto.INT32, row),
        (TensorProto.INT32, [1]),
        (TensorProto.FLOAT, row),
        (TensorProto.INT32, [1]),
        *((TensorProto.FLOAT, [None, width]) for width in graph.state.values()),
    ]
    inputs = [
        described(f"{CAPTION}/turn", TensorProto.INT64, []),
        described(f"{CAPTION}/going", TensorProto.BOOL, []),
        *(described(name, *kind) for name, kind in zip(carried.values(), kinds, strict=True)),
    ]
    outputs = [
        described(name, *kind)
        for name, kind in zip(results, [(TensorProto.BOOL, []), *kinds], strict=True)
    ]
    return helper.make_graph(word.nodes, CAPTION, inputs, outputs, initializer=word.constants)


def _constant(builder: NodeBuilder, value: int, name: str = "") -> str:
    return builder.node(
        "Constant", [], name, value=numpy_helper.from_array(np.array(value, np.int64))
    )
