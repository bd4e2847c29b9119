"""From Keras' record of a model (its `get_config`) to the neutral graph, nested models unfolded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecap.importing.graph import Graph, Layer, Origin, Source
from edgecap_runtime.errors import OptionError

Arrays = Mapping[str, Sequence[np.ndarray]]
"""Weights by a layer's name, nested models' names before it."""

_MODELS = ("Functional", "Model", "Sequential")
"""Classes of models; `Model` is what Keras before 2.4 called a functional one."""


def is_model(record: Mapping[str, Any]) -> bool:
    """Whether a layer's record is that of a nested model."""
    return record.get("class_name") in _MODELS


def layer_records(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the records of a model's layers, in Keras' order."""
    config = record["config"]
    # Keras before 2.2.3 wrote a Sequential as the bare list.
    return list(config if isinstance(config, list) else config["layers"])


def name_of(record: Mapping[str, Any]) -> str:
    """Give a layer's own name."""
    config = record["config"]
    name = record.get("name") or (config.get("name") if isinstance(config, Mapping) else None)
    return str(name or record["class_name"].lower())


def read_graph(record: Mapping[str, Any], weights: Arrays, origin: Origin) -> Graph:
    """Build the graph of a model.

    Args:
        record: {"class_name": ..., "config": ...} as Keras writes it.
        weights: each layer's arrays.
        origin: where both come from.

    Raises:
        OptionError: the record is no model of layers each called once with one output.
    """
    if not is_model(record):
        raise OptionError(
            f"the model is a {record.get('class_name')!r}, whose graph is not recorded; supported "
            f"are models of the classes {', '.join(_MODELS)}"
        )
    try:
        reader = _Reader(weights)
        outputs = reader.model(record, "", None)
    except (KeyError, TypeError, IndexError, AttributeError) as problem:
        raise OptionError(
            f"the record of the model's graph is damaged ({type(problem).__name__}: {problem}); "
            "save the model again"
        ) from problem
    if len(outputs) != 1:
        raise OptionError(
            f"the model has {len(outputs)} outputs; a captioner has one, the next word's "
            "probabilities"
        )
    return Graph(tuple(reader.layers), outputs[0].layer, origin)


@dataclass
class _Call:
    """How a layer was called, by names."""

    sources: list[tuple[str, int]] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    keywords: dict[str, tuple[str, int] | None] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        """Give the layers that must be there first."""
        yield from (name for name, _ in self.sources)
        yield from (item[0] for item in self.keywords.values() if item is not None)


class _Reader:
    def __init__(self, weights: Arrays) -> None:
        self.layers: list[Layer] = []
        self._weights = weights

    def model(
        self, record: Mapping[str, Any], path: str, inputs: Sequence[Source] | None
    ) -> list[Source]:
        """Unfold a model; `inputs` is None for the outermost one. Gives its outputs."""
        if record["class_name"] == "Sequential":
            return [self._sequential(record, path, inputs)]
        return self._functional(record, path, inputs)

    def _sequential(
        self, record: Mapping[str, Any], path: str, inputs: Sequence[Source] | None
    ) -> Source:
        tensor = inputs[0] if inputs else None
        for item in layer_records(record):
            if item["class_name"] == "InputLayer":
                tensor = tensor or self._layer(item, path, _Call(), {})[0]
            else:
                tensor = tensor or self._input_before(item, path)
                (tensor,) = self._layer(item, path, _Call([("", 0)]), {"": [tensor]})
        if tensor is None:
            raise OptionError("the model is a Sequential without a layer; it captions nothing")
        return tensor

    def _input_before(self, record: Mapping[str, Any], path: str) -> Source:
        """Make the input that a Sequential's first layer implies."""
        shape = record["config"].get("batch_input_shape")
        layer = Layer("InputLayer", f"{path}input", {"batch_input_shape": shape})
        self.layers.append(layer)
        return Source(layer, 0)

    def _functional(
        self, record: Mapping[str, Any], path: str, inputs: Sequence[Source] | None
    ) -> list[Source]:
        config = record["config"]
        made: dict[str, list[Source]] = {}
        if inputs is not None:
            names = _references(config["input_layers"])
            if len(names) != len(inputs):
                raise OptionError(
                    f"the model {path.rstrip('/')!r} has {len(names)} inputs and is called with "
                    f"{len(inputs)}; save the model again"
                )
            made = {name: [source] for (name, _), source in zip(names, inputs, strict=True)}
        waiting = [item for item in layer_records(record) if name_of(item) not in made]
        while waiting:
            later: list[Mapping[str, Any]] = []
            for item in waiting:
                call = _call_of(item, path)
                if all(name in made for name in call.names()):
                    made[name_of(item)] = self._layer(item, path, call, made)
                else:
                    later.append(item)
            if len(later) == len(waiting):
                raise OptionError(
                    f"the layer {path + name_of(later[0])!r} reads a layer that the file does not "
                    "have; save the model again"
                )
            waiting = later
        return [made[name][place] for name, place in _references(config["output_layers"])]

    def _layer(
        self,
        record: Mapping[str, Any],
        path: str,
        call: _Call,
        made: Mapping[str, Sequence[Source]],
    ) -> list[Source]:
        """Add one layer, or all those of a nested model; gives its outputs."""
        name = path + name_of(record)
        sources = [_output(made[layer], place) for layer, place in call.sources]
        if is_model(record):
            return self.model(record, f"{name}/", sources)
        layer = Layer(
            class_name=record["class_name"],
            name=name,
            config=record["config"],
            sources=tuple(sources),
            constants=tuple(call.constants),
            keywords={
                key: None if item is None else _output(made[item[0]], item[1])
                for key, item in call.keywords.items()
            },
            weights=tuple(self._weights.get(name, ())),
        )
        self.layers.append(layer)
        return [Source(layer, 0)]


def _output(outputs: Sequence[Source], place: int) -> Source:
    """Give one output of a layer (which may have more than are listed) or a nested model."""
    if place < len(outputs):
        return outputs[place]
    return Source(outputs[0].layer, place)


def _call_of(record: Mapping[str, Any], path: str) -> _Call:
    """Read how a layer was called, in Keras 2's or Keras 3's words."""
    nodes = record.get("inbound_nodes") or []
    if record["class_name"] == "InputLayer":
        return _Call()
    if len(nodes) != 1:
        raise OptionError(
            f"the layer {path + name_of(record)!r} ({record['class_name']}) is called "
            f"{len(nodes)} times; supported are graphs whose layers are called once each"
        )
    call = _Call()
    if isinstance(nodes[0], Mapping):
        _read_keras3(nodes[0], call)
    else:
        _read_keras2(nodes[0], call)
    return call


def _read_keras3(node: Mapping[str, Any], call: _Call) -> None:
    """{"args": [tensor, [tensor, tensor], 127.5], "kwargs": {"mask": tensor or null}}."""

    def visit(value: Any) -> None:
        reference = _keras3_reference(value)
        if reference is not None:
            call.sources.append(reference)
        elif isinstance(value, (list, tuple)):
            for part in value:
                visit(part)
        else:
            call.constants.append(value)

    visit(node["args"])
    for key, value in node.get("kwargs", {}).items():
        references = [_keras3_reference(part) for part in _flat(value)]
        if any(reference is not None for reference in references):
            call.keywords[key] = next(item for item in references if item is not None)
        elif key == "mask":
            call.keywords[key] = None


def _keras3_reference(value: Any) -> tuple[str, int] | None:
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        name, _, place = value["config"]["keras_history"]
        return str(name), int(place)
    return None


def _read_keras2(node: Any, call: _Call) -> None:
    """[[name, node, place, keywords], ...], or one such entry for a plain TensorFlow function."""
    entries = [node] if node and isinstance(node[0], str) else node
    for entry in entries:
        name, _, place, *rest = entry
        call.sources.append((str(name), int(place)))
        for key, value in (rest[0] if rest else {}).items():
            reference = _keras2_reference(value)
            # The operands of a plain TensorFlow function are called x and y.
            if reference is not None and key in ("x", "y"):
                call.sources.append(reference)
            elif reference is not None:
                call.keywords[key] = reference
            elif key in ("x", "y"):
                call.constants.append(value)


def _keras2_reference(value: Any) -> tuple[str, int] | None:
    """A tensor among the keywords: ["lstm", 0, 0], or a list of such."""
    if isinstance(value, (list, tuple)) and value:
        if isinstance(value[0], (list, tuple)):
            return _keras2_reference(value[0])
        if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
            return str(value[0]), int(value[2])
    return None


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _references(entries: Any) -> list[tuple[str, int]]:
    """Read a model's inputs or outputs: [[name, node, place], ...] or one such entry."""
    if entries and isinstance(entries[0], str):
        entries = [entries]
    return [(str(name), int(place)) for name, _, place in entries]
