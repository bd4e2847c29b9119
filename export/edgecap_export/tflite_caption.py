"""The signatures `greedy` and `caption` of a .tflite file: from a state or an image to all words.

They are built from the finished graphs, after quantization, which can't look into loops: operators
are copied, their weights stay the same buffers. Both run the same loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgecap_export.flatbuffer_view import CAPTION, GREEDY
from edgecap_export.greedy import CaptionCall, GreedyRules, choose, count_words
from edgecap_export.quiet import quiet
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.tflite_builder import GraphBuilder, Tensor

__all__ = ["add_search", "open_caption"]


def add_search(model: Any, graph: CaptionerGraph, rules: GreedyRules, *, one_call: bool) -> None:
    """Add the signature `greedy`, in place, and the two graphs of its loop.

    The loop carries how many words there are, the last word, all of them with their log
    probabilities, and the state. one_call: whether the signature `caption` is added too.
    """
    more, word = (GraphBuilder(model, f"{GREEDY}/{name}") for name in ("more", "word"))
    carried = _carried(more, graph, rules)
    more.limits(carried, [more.less(carried[0], more.constant(_one(rules.max_words)))])
    _build_word(word, graph, rules)
    loop = {"condSubgraphIndex": more.place, "bodySubgraphIndex": word.place}

    greedy = GraphBuilder(model, GREEDY)
    given = {
        f"state_{name}": greedy.tensor([1, width], "float32", f"state_{name}")
        for name, width in graph.state.items()
    }
    _finish(model, greedy, GREEDY, rules, loop, given, list(given.values()))
    if not one_call:
        return
    caption = GraphBuilder(model, CAPTION)
    image = caption.tensor([1, *graph.image_shape], "uint8", "image")
    first = caption.copied("encode", {"image": image}, list(given))
    _finish(model, caption, CAPTION, rules, loop, {"image": image}, first)


def _finish(
    model: Any,
    builder: GraphBuilder,
    key: str,
    rules: GreedyRules,
    loop: Mapping[str, int],
    given: Mapping[str, Tensor],
    state: Sequence[Tensor],
) -> None:
    """Put the loop behind what gives the first state, and make a signature of it.

    loop: places of its graphs; given: what the signature takes.
    """
    begin = [
        builder.constant(_one(0)),
        builder.constant(_one(rules.start_id)),
        builder.constant(np.full(rules.max_words, rules.end_id, np.int32)),
        builder.constant(np.zeros(rules.max_words, np.float32)),
        *state,
    ]
    last = [builder.tensor(item.shape, item.type) for item in begin]
    builder.operator("WHILE", begin, last, "WhileOptions", **loop)
    _, _, said, scores, *_ = last
    row = (1, rules.max_words)
    results = {
        "ids": builder.reshape(said, row),
        "length": count_words(builder, rules, said),
        "log_probabilities": builder.reshape(scores, row),
    }
    builder.limits(list(given.values()), list(results.values()))
    model.signatureDefs.append(
        schema.SignatureDefT(
            signatureKey=key.encode(),
            subgraphIndex=builder.place,
            inputs=[_named(name, tensor) for name, tensor in given.items()],
            outputs=[_named(name, tensor) for name, tensor in results.items()],
        )
    )


def open_caption(path: Path, threads: int) -> CaptionCall:
    """Open a file in a plain interpreter.

    Gives a function of an image, uint8 [H, W, 3], to the row of ids, int32 [L], and its length.
    """
    with quiet():
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()

    def call(image: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
        answer = interpreter.get_signature_runner(CAPTION)(image=image[None])
        return answer["ids"][0], int(answer["length"][0])

    return call


def _build_word(word: GraphBuilder, graph: CaptionerGraph, rules: GreedyRules) -> None:
    """Build the body of the loop: one step and the choice of a word."""
    carried = _carried(word, graph, rules)
    length, token, said, scores, *states = carried
    given = {"ids": token}
    given |= {f"state_{name}": tensor for name, tensor in zip(graph.state, states, strict=True)}
    wanted = ["logits", *(f"next_state_{name}" for name in graph.state)]
    logits, *following = word.copied(graph.kind, given, wanted)
    token, said, scores = choose(word, rules, logits, said, scores, length)
    # Once a caption has ended, the condition takes it for as long as can be.
    ended = word.equal(token, word.constant(_one(rules.end_id)))
    longer = word.add(length, word.constant(_one(1)))
    length = word.select(ended, word.constant(_one(rules.max_words)), longer)
    word.limits(carried, [length, token, said, scores, *following])


def _carried(builder: GraphBuilder, graph: CaptionerGraph, rules: GreedyRules) -> list[Tensor]:
    """Add what the loop carries: length, token, all words, their log probabilities, and state."""
    return [
        builder.tensor([1], "int32"),
        builder.tensor([1], "int32"),
        builder.tensor([rules.max_words], "int32"),
        builder.tensor([rules.max_words], "float32"),
        *(builder.tensor([1, width], "float32") for width in graph.state.values()),
    ]


def _one(value: int) -> NDArray[np.int32]:
    return np.array([value], np.int32)


def _named(name: str, tensor: Tensor) -> Any:
    return schema.TensorMapT(name=name.encode(), tensorIndex=tensor.place)
