"""Running an ONNX graph and looking at tensors inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecap_export.blocks import Block, BlockFinder
from edgecap_export.rounding import sample_patches

__all__ = [
    "Convolution",
    "block_owners",
    "convolutions",
    "initializers",
    "name_nodes",
    "replace_tensor",
    "watch",
]


@dataclass(frozen=True)
class Convolution:
    """A convolution over an image, and where its numbers are."""

    name: str
    """The node's name."""
    given: str
    """Tensor that it reads, [images, channels, H, W]."""
    weights: str
    """Its weights, [outputs, channels of a group, height, width]."""
    bias: str
    """Its bias, [outputs]."""
    groups: int
    """Groups of channels that know nothing of each other."""
    stride: tuple[int, int]
    """Steps over the image."""
    pads: tuple[int, int, int, int] | None
    """Zeros added above, left, below and right; None for as many as TensorFlow's "SAME"."""

    def patches(
        self, image: NDArray[np.float32], kernel: tuple[int, int], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """Give some of what the kernel meets, [n, height, width, channels].

        image: [channels, H, W].
        """
        pixels = np.moveaxis(image, 0, -1)
        if self.pads is not None:
            top, left, bottom, right = self.pads
            pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)))
        same = self.pads is None
        return sample_patches(pixels, kernel, self.stride, same, random)

    def shift(self, change: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give how far a change of the weights moves the mean of each output, [outputs].

        change: as the weights; mean: of what the kernel meets, [height, width, channels].
        """
        outputs, inputs = change.shape[:2]
        each = outputs // self.groups
        moved = []
        for group in range(self.groups):
            part = mean[..., group * inputs : (group + 1) * inputs]
            rows = change[group * each : (group + 1) * each]
            moved.append(np.einsum("ochw,hwc->o", rows, part))
        return np.concatenate(moved)


def name_nodes(graph: Any) -> None:
    """Give a name to each node that has none, in place; quantizers choose nodes by name."""
    for place, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{place}"


def initializers(graph: Any) -> dict[str, Any]:
    """Give a graph's stored tensors by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def convolutions(graph: Any) -> list[Convolution]:
    """List the convolutions that can be corrected: not dilated, with stored weights and bias."""
    stored = initializers(graph)
    found = []
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) < 3 or node.input[1] not in stored:
            continue
        settings = _attributes(node)
        if any(step != 1 for step in settings.get("dilations", ())):
            continue
        automatic = settings.get("auto_pad", b"NOTSET")
        if automatic not in (b"NOTSET", b"SAME_UPPER", b"VALID"):
            continue
        pads = tuple(settings.get("pads", (0, 0, 0, 0)))
        found.append(
            Convolution(
                name=node.name,
                given=node.input[0],
                weights=node.input[1],
                bias=node.input[2],
                groups=int(settings.get("group", 1)),
                stride=tuple(settings.get("strides", (1, 1))),
                pads=None if automatic == b"SAME_UPPER" else pads,
            )
        )
    return found


def watch(
    model: Any, names: Sequence[str], calls: Iterable[Mapping[str, NDArray[Any]]]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Run a model and yield, for each call, the named float tensors inside it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    given = {item.name for item in copy.graph.input}
    wanted = [name for name in dict.fromkeys(names) if name not in given]
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in wanted
        if name not in known
    )
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for call in calls:
        values = dict(zip(wanted, session.run(wanted, dict(call)), strict=True))
        yield {**values, **{name: call[name] for name in names if name in given}}


def replace_tensor(graph: Any, name: str, values: NDArray[Any]) -> None:
    """Give a stored tensor other numbers, in place."""
    for tensor in graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def block_owners(graph: Any, blocks: Sequence[Block]) -> list[Block | None]:
    """Give each node's block; one whose result bears no layer's name has that of its reader."""
    finder = BlockFinder(blocks, [_bare(name) for node in graph.node for name in node.output])
    readers = {name: place for place, node in enumerate(graph.node) for name in node.input}
    owners: list[Block | None] = [None] * len(graph.node)
    for place in reversed(range(len(graph.node))):
        result = graph.node[place].output[0]
        owner = finder.find(_bare(result))
        reader = readers.get(result)
        if owner is None and reader is not None:
            owner = owners[reader]
        owners[place] = owner
    return owners


def _bare(name: str) -> str:
    """Give a tensor's name without the ":0" that TensorFlow puts behind it."""
    return name.partition(":")[0]


def _attributes(node: Any) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
