"""Making one ONNX model of encoder and step, as the two branches of an `If`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecap_export import onnx_caption
from edgecap_export.errors import ExportError

if TYPE_CHECKING:
    from edgecap_export.greedy import GreedyRules
    from edgecap_export.step_graph import CaptionerGraph

__all__ = ["merge"]

# The format's version that opset 17 came with.
_IR_VERSION = 8
_LEAST_SHARED_BYTES = 1024


def merge(encode: Any, step: Any, graph: CaptionerGraph, rules: GreedyRules | None = None) -> Any:
    """Give the model whose `start` input chooses between the two.

    encode: model of image to `state_<x>`; step: model of ids and `state_<x>` to logits and
    `next_state_<x>`, those that it lacks being the state as it was. Both answer under the step's
    names; encode's logits have no rows. The step's branch is named by the decoder's kind.

    Weights stay inside their branch: in the outer graph ONNX Runtime doesn't fold batch
    normalisation and scaling into convolutions (MobileNet 1.0: 11.6 ms against 8.1). Only those
    that both branches hold, the LSTM's kernel, are moved out, which costs a step about 1 %; and,
    where rules are given for a search inside the file, all those of the step, for both its copies.
    """
    results = ["logits", *(f"next_state_{name}" for name in graph.state)]
    first = [f"state_{name}" for name in graph.state]
    outer = {"image", "ids", *first}
    kind = graph.kind
    encoder, stepper = (
        _prefixed(encode.graph, "encode/", outer),
        _prefixed(step.graph, f"{kind}/", outer),
    )
    made = {output.name for output in stepper.output}
    stepper.node.extend(
        helper.make_node("Identity", [f"state_{name}"], [f"{kind}/next_state_{name}"])
        for name in graph.state
        if f"{kind}/next_state_{name}" not in made
    )
    shared = _take_shared(encoder, stepper)
    searched: list[Any] = []
    found: list[Any] = []
    if rules is not None:
        shared += _take_large(stepper)
        loop, begin, found = onnx_caption.search(stepper, graph, rules)
        searched.append(loop)
        shared += begin
        encoder.node.extend(onnx_caption.given_states("encode/", graph))
        encoder.node.extend(onnx_caption.most_words("encode/", rules))
        stepper.node.extend(onnx_caption.no_words(f"{kind}/"))
    empty = np.zeros((0, graph.vocabulary_size), np.float32)
    encoder.node.append(
        helper.make_node("Constant", [], ["encode/logits"], value=numpy_helper.from_array(empty))
    )
    widths = [graph.vocabulary_size, *graph.state.values()]
    begun = results[1:] if searched else first
    encode_results = ["encode/logits", *(f"encode/{name}" for name in begun)]
    step_results = [f"{kind}/{name}" for name in results]
    node = helper.make_node(
        "If",
        ["start"],
        [*results, *[onnx_caption.MOST] * len(searched)],
        name="start_or_step",
        then_branch=_branch("encode", encoder, encode_results, widths, bool(searched)),
        else_branch=_branch(kind, stepper, step_results, widths, bool(searched)),
    )
    height, width, channels = graph.image_shape
    inputs = [
        helper.make_tensor_value_info("start", TensorProto.BOOL, []),
        helper.make_tensor_value_info(
            "image", TensorProto.UINT8, ["images", height, width, channels]
        ),
        helper.make_tensor_value_info(
            "ids", TensorProto.INT32, ["rows", *(side or "words" for side in graph.ids_shape[1:])]
        ),
        *(_float(f"state_{name}", "rows", wide) for name, wide in graph.state.items()),
    ]
    # A start has as many states as images and no logits, a step as many of both as rows.
    counts = ["rows", *["next_rows"] * len(graph.state)]
    outputs = [_float(*described) for described in zip(results, counts, widths, strict=True)]
    outputs += found
    return helper.make_model(
        helper.make_graph([node, *searched], "captioner", inputs, outputs, initializer=shared),
        producer_name="edgecap",
        opset_imports=_opsets(encode, step),
        ir_version=_IR_VERSION,
    )


def _prefixed(graph: Any, prefix: str, kept: set[str]) -> Any:
    """Give a copy whose tensors and nodes bear the prefix, all but those in `kept`."""
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    inputs = {item.name for item in copy.input}
    if not inputs <= kept:
        raise ExportError(
            f"The converter made the inputs {', '.join(sorted(inputs))}, where only "
            f"{', '.join(sorted(kept))} belong."
        )

    def renamed(name: str) -> str:
        return name if not name or name in inputs else prefix + name

    for tensor in (*copy.initializer, *copy.output):
        tensor.name = renamed(tensor.name)
    for node in copy.node:
        node.name = prefix + node.name
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
    return copy


def _take_shared(encoder: Any, stepper: Any) -> list[Any]:
    """Take the larger weights that both graphs hold out of them, under one name."""
    known = {_content(tensor): tensor.name for tensor in encoder.initializer if _is_large(tensor)}
    names = {}
    shared = []
    for tensor in stepper.initializer:
        twin = known.get(_content(tensor)) if _is_large(tensor) else None
        if twin is not None:
            moved = TensorProto()
            moved.CopyFrom(tensor)
            moved.name = "shared/" + tensor.name.partition("/")[2]
            names[twin] = names[tensor.name] = moved.name
            shared.append(moved)
    for graph in (encoder, stepper):
        left = [tensor for tensor in graph.initializer if tensor.name not in names]
        del graph.initializer[:]
        graph.initializer.extend(left)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
    return shared


def _take_large(stepper: Any) -> list[Any]:
    """Take the larger weights out of a graph; it goes on to read them by their names."""
    large = [tensor.ByteSize() >= _LEAST_SHARED_BYTES for tensor in stepper.initializer]
    taken = [tensor for tensor, big in zip(stepper.initializer, large, strict=True) if big]
    left = [tensor for tensor, big in zip(stepper.initializer, large, strict=True) if not big]
    del stepper.initializer[:]
    stepper.initializer.extend(left)
    return taken


def _is_large(tensor: Any) -> bool:
    return len(tensor.raw_data) >= _LEAST_SHARED_BYTES


def _content(tensor: Any) -> tuple[int, tuple[int, ...], bytes]:
    return tensor.data_type, tuple(tensor.dims), tensor.raw_data


def _branch(name: str, graph: Any, results: list[str], widths: list[int], searched: bool) -> Any:
    # Row counts stay unnamed: in the other branch the same result has another count.
    outputs = [
        _float(*described) for described in zip(results, [None] * len(widths), widths, strict=True)
    ]
    if searched:
        most = f"{name}/{onnx_caption.MOST}"
        outputs.append(helper.make_tensor_value_info(most, TensorProto.INT64, []))
    return helper.make_graph(graph.node, name, [], outputs, initializer=graph.initializer)


def _float(name: str, rows: str | None, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, width])


def _opsets(*models: Any) -> list[Any]:
    versions: dict[str, int] = {}
    for model in models:
        for opset in model.opset_import:
            versions[opset.domain] = max(versions.get(opset.domain, 0), opset.version)
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]
