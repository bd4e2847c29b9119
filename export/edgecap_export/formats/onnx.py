"""The .onnx writer: ONE graph whose `If` runs the encoder (start) or the decoder step.

Two sessions would spin against each other for the same cores. Graph inputs that the chosen branch
doesn't read have no rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import tf2onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgecap_export import onnx_merge, onnx_quantization, onnx_view
from edgecap_export.calibration import Samples
from edgecap_export.errors import ExportError
from edgecap_export.graph_view import step_parts
from edgecap_export.inspection import Inspection, inspect_views
from edgecap_export.onnx_lstm import MARKS, marked, restore_lstms, unsign_lstms
from edgecap_export.onnx_zero_state import fold_zero_states
from edgecap_export.progress import Progress
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph
from edgecap_runtime.errors import first_line

__all__ = ["OnnxWriter"]

# 17 is read by ONNX Runtime from 1.12 on; nothing here needs a newer operator.
_OPSET = 17
_PRODUCTS = ["MatMul", "LSTM"]


class OnnxWriter:
    """Writes .onnx files with standard operators, and ONNX Runtime's for LSTMs in int8."""

    name = "ONNX"
    recurrence = staticmethod(marked)

    def lacks(self, graph: CaptionerGraph, recipe: Recipe) -> Mapping[str, str]:
        """Say for which parts the recipe asks what this format can't have, and why."""
        return onnx_quantization.lacks(graph, recipe)

    def write(
        self,
        graph: CaptionerGraph,
        recipe: Recipe,
        path: Path,
        progress: Progress,
        samples: Samples | None,
    ) -> None:
        """Convert both functions, quantize what the recipe says, merge and write."""
        progress("convert", 0, 2)
        encode = _convert(graph.encode, graph.encode_specs(images=None))
        fold_zero_states(encode.graph)
        progress("convert", 1, 2)
        step = _convert(graph.step, graph.step_specs())
        restore_lstms(step.graph)
        progress("convert", 2, 2)
        dynamic = recipe.parts_treated("dynamic-int8")
        if dynamic:
            progress("quantize", 0, 1)
            step = _quantize(step, dynamic)
            progress("quantize", 1, 1)
        merged = onnx_merge.merge(encode, step, graph)
        onnx.checker.check_model(merged, full_check=True)
        path.write_bytes(merged.SerializeToString())

    def inspect(self, path: Path, kind: str) -> Inspection:
        """Read the file back and list its operators and weights."""
        model = onnx.load(path)
        encode, step = onnx_view.view(model, "encode"), onnx_view.view(model, kind)
        return inspect_views(encode, step, *onnx_view.operators(model, kind))


def _convert(function: Any, specs: list[Any]) -> Any:
    with quiet():
        try:
            return tf2onnx.convert.from_function(
                function, input_signature=specs, opset=_OPSET, custom_ops=MARKS
            )[0]
        except Exception as problem:
            raise ExportError(
                f"tf2onnx can't convert this captioner ({first_line(problem)}); "
                "build the decoder's step from Keras cells."
            ) from problem


def _quantize(step: Any, parts: frozenset[str]) -> Any:
    """Give the step with the weights of these parts' products in int8, a scale per column.

    Unsigned weights: on x86 CPUs with AVX2 but no VNNI the kernels add two products of uint8
    activations and int8 weights in 16 bits, which 8-bit weights overflow without an error, so
    what is proven here would not hold there. Signed weights of 7 bits (`reduce_range`) are safe
    too and faster for a beam (a step of 3 rows at V 2539, U 512 on 2 threads .087 ms against
    .114; one row .075 against .083) but twice as far from the float words: on the tests' captioner
    the 99th percentile of the log probabilities' differences was .106 against .056.
    """
    graph = onnx_view.graph_view(step.graph, {})
    names = [
        node.name
        for node, part in zip(step.graph.node, step_parts(graph), strict=True)
        if node.op_type in _PRODUCTS and part in parts
    ]
    with tempfile.TemporaryDirectory() as folder, quiet():
        quantized = Path(folder) / "step.onnx"
        quantize_dynamic(
            step,
            quantized,
            op_types_to_quantize=_PRODUCTS,
            nodes_to_quantize=names,
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
        smaller = onnx.load(quantized)
    unsign_lstms(smaller.graph)
    return smaller
