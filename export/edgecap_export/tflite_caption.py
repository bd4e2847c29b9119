"""The signature `caption` of a .tflite file: encoder and greedy search in one call.

It is built from the finished graphs, after quantization, which can't look into loops: operators
are copied, their weights stay the same buffers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgecap_export.flatbuffer_view import CAPTION
from edgecap_export.greedy import CaptionCall, GreedyRules, choose, count_words
from edgecap_export.quiet import quiet
from edgecap_export.step_graph import CaptionerGraph
from edgecap_export.tflite_builder import GraphBuilder, Tensor

__all__ = ["add_caption", "open_caption"]


def add_caption(model: Any, graph: CaptionerGraph, rules: GreedyRules) -> None:
    """Add the signature, in place, and the two graphs of its loop.

    The loop carries how many words there are, the last word, all of them, and the state.
    """
    caption, more, word = (
        GraphBuilder(model, name) for name in (CAPTION, f"{CAPTION}/more", f"{CAPTION}/word")
    )
    carried = _carried(more, graph, rules)
    more.limits(carried, [more.less(carried[0], more.constant(_one(rules.max_words)))])
    _build_word(word, graph, rules)

    image = caption.tensor([1, *graph.image_shape], "uint8", "image")
    first = caption.copied("encode", {"image": image}, [f"state_{name}" for name in graph.state])
    begin = [
        caption.constant(_one(0)),
        caption.constant(_one(rules.start_id)),
        caption.constant(np.full(rules.max_words, rules.end_id, np.int32)),
        *first,
    ]
    last = _carried(caption, graph, rules)
    graphs = {"condSubgraphIndex": more.place, "bodySubgraphIndex": word.place}
    caption.operator("WHILE", begin, last, "WhileOptions", **graphs)
    said = last[2]
    results = {
        "ids": caption.reshape(said, (1, rules.max_words)),
        "length": count_words(caption, rules, said),
    }
    caption.limits([image], list(results.values()))
    model.signatureDefs.append(
        schema.SignatureDefT(
            signatureKey=CAPTION.encode(),
            subgraphIndex=caption.place,
            inputs=[_named("image", image)],
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
    length, token, said, *states = carried
    given = {"ids": token}
    given |= {f"state_{name}": tensor for name, tensor in zip(graph.state, states, strict=True)}
    wanted = ["logits", *(f"next_state_{name}" for name in graph.state)]
    logits, *following = word.copied(graph.kind, given, wanted)
    token, said = choose(word, rules, logits, said, length)
    # Once a caption has ended, the condition takes it for as long as can be.
    ended = word.equal(token, word.constant(_one(rules.end_id)))
    longer = word.add(length, word.constant(_one(1)))
    length = word.select(ended, word.constant(_one(rules.max_words)), longer)
    word.limits(carried, [length, token, said, *following])


def _carried(builder: GraphBuilder, graph: CaptionerGraph, rules: GreedyRules) -> list[Tensor]:
    """Add the tensors that the loop carries: length, token, all words, and the state."""
    return [
        builder.tensor([1], "int32"),
        builder.tensor([1], "int32"),
        builder.tensor([rules.max_words], "int32"),
        *(builder.tensor([1, width], "float32") for width in graph.state.values()),
    ]


def _one(value: int) -> NDArray[np.int32]:
    return np.array([value], np.int32)


def _named(name: str, tensor: Tensor) -> Any:
    return schema.TensorMapT(name=name.encode(), tensorIndex=tensor.place)
