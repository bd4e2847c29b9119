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

from edgecap_export.rounding import sample_patches

__all__ = ["Convolution", "attributes", "convolutions", "initializers", "watch"]

_PATCHES = 100
"""Places of a picture at which a convolution's inputs are looked at."""


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

    def mean_patch(
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
        return sample_patches(pixels, kernel, self.stride, same, random, _PATCHES)

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


def attributes(node: Any) -> dict[str, Any]:
    """Give a node's attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


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
        settings = attributes(node)
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
