"""The blocks of an encoder: its stretches between places where one tensor carries everything.

A block is what `keep_float` names and what a sensitivity report measures: one convolution of
MobileNet V1 with what follows it, a whole residual block of MobileNet V2, a mixed block of
InceptionV3. They are read from the Keras model, so both file formats have the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap_export.source import CaptionerSource

__all__ = ["Block", "BlockFinder", "check_block_names", "delicate_blocks", "encoder_blocks"]


@dataclass(frozen=True)
class Block:
    """A stretch of an encoder with at least one layer that has a kernel."""

    name: str
    """What users call it."""
    layers: tuple[str, ...]
    """Names of its Keras layers."""
    weights: int
    """How many numbers its kernels have."""


def encoder_blocks(encoder: Any) -> tuple[Block, ...]:
    """Take an encoder apart, first block first.

    encoder: a Keras model; one that is not of Keras' functional kind is one block.
    """
    stretches = list(_stretches(encoder))
    names = _public_names(layer for stretch in stretches for layer in stretch)
    blocks: list[list[Any]] = []
    for stretch in stretches:
        if not blocks or (_kernels(stretch) and _kernels(blocks[-1])):
            blocks.append([])
        blocks[-1] += stretch
    return tuple(_block(layers, names) for layers in blocks)


def check_block_names(names: Sequence[str], blocks: Sequence[Block]) -> None:
    """Raise `OptionError` for a name that no block has."""
    known = [block.name for block in blocks]
    for name in names:
        if name not in known:
            raise OptionError(
                f"The encoder has no block {name!r} to keep in float; its blocks are "
                f"{', '.join(known)}."
            )


def delicate_blocks(source: CaptionerSource) -> tuple[str, ...]:
    """Name the blocks of a captioner's encoder that int8 is known to hurt."""
    if not source.delicate_blocks:
        return ()
    known = [block.name for block in encoder_blocks(source.encoder)]
    return tuple(name for name in source.delicate_blocks if name in known)


class BlockFinder:
    """Finds the block of an operator in a written file by the name of its result.

    Converters name results by the layers that made them: "net/conv1_relu_1/Relu6;net/conv1_bn_1/
    ...". The number behind a layer's name is of TensorFlow's making, the same for all layers.
    """

    def __init__(self, blocks: Sequence[Block], results: Sequence[str]) -> None:
        """blocks: those of the encoder; results: names of all results of its graph."""
        owner = {layer: block for block in blocks for layer in block.layers}
        components = [re.split(r"[/;]", result) for result in results]
        found = {component for parts in components for component in parts}
        suffixes = ["", *sorted({m[0] for c in found if (m := re.search(r"_\d+$", c))})]
        counts = [sum(layer + suffix in found for layer in owner) for suffix in suffixes]
        suffix = suffixes[counts.index(max(counts))]
        self._owner: Mapping[str, Block] = {layer + suffix: block for layer, block in owner.items()}

    def find(self, result: str) -> Block | None:
        """Give the block that made a result, or None for one that no layer's name is in."""
        for component in re.split(r"[/;]", result):
            if component in self._owner:
                return self._owner[component]
        return None


def _block(layers: Sequence[Any], names: Mapping[str, str]) -> Block:
    kernels = _kernels(layers)
    # One kernel gives the block its name; of several, the layer in which they meet.
    last = kernels[0] if len(kernels) == 1 else _meeting(layers)
    weights = sum(
        math.prod(weight.shape)
        for layer in kernels
        for weight in layer.weights
        if len(weight.shape) > 1
    )
    return Block(names[last.name], tuple(layer.name for layer in layers), weights)


def _meeting(layers: Sequence[Any]) -> Any:
    merging = [layer for layer in layers if isinstance(getattr(layer, "input", None), list)]
    return (merging or layers)[-1]


def _kernels(layers: Sequence[Any]) -> list[Any]:
    return [
        layer
        for layer in layers
        if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))
    ]


def _stretches(model: Any) -> Iterator[list[Any]]:
    """Yield the layers of a model in groups; between two, one tensor carries everything."""
    functional = _functional(model)
    if functional is None:
        yield [model]
        return
    config = functional.get_config()
    order = [item["config"]["name"] for item in config["layers"]]
    # Layers, and operations that were called without one.
    made = {operation.name: operation for operation in functional.operations}
    place = {name: index for index, name in enumerate(order)}
    readers: dict[int, list[int]] = {index: [] for index in place.values()}
    for item in config["layers"]:
        for source in _sources(item["inbound_nodes"]):
            readers[place[source]].append(place[item["config"]["name"]])
    stretch: list[Any] = []
    open_until = -1  # place of the last reader of what was made before the present layer
    for index, name in enumerate(order):
        layer = made[name]
        if type(layer).__name__ != "InputLayer":
            stretch.append(layer)
        if open_until <= index and stretch:
            alone = stretch[0] if len(stretch) == 1 else None
            if alone is not None and _functional(alone) is not None:
                yield from _stretches(alone)
            else:
                yield stretch
            stretch = []
        open_until = max([open_until, *readers[index]])
    if stretch:
        yield stretch


def _functional(model: Any) -> Any | None:
    """Give the graph that a functional or sequential model is, None for anything else."""
    functional = getattr(model, "_functional", None) or model  # what a Sequential keeps inside
    return functional if type(functional).__name__ == "Functional" else None


def _sources(recorded: Any) -> Iterator[str]:
    """Yield the names of the layers that a recorded call reads."""
    if isinstance(recorded, Mapping):
        if recorded.get("class_name") == "__keras_tensor__":
            yield recorded["config"]["keras_history"][0]
            return
        recorded = list(recorded.values())
    if isinstance(recorded, (list, tuple)):
        for item in recorded:
            yield from _sources(item)


def _public_names(layers: Iterator[Any]) -> dict[str, str]:
    """Give each layer's name for users.

    Keras numbers the layers that its user gave no name over everything made in the process; here
    they are numbered within the encoder.
    """
    counts: Counter[str] = Counter()
    names = {}
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\d)(?=[A-Z][a-z])", "_", type(layer).__name__)
        kind = kind.lower()
        if re.fullmatch(rf"{re.escape(kind)}(_\d+)?", layer.name):
            names[layer.name] = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        else:
            names[layer.name] = layer.name
    return names
