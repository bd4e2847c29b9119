"""The .onnx writer: ONE graph whose `If` runs the encoder (start) or the decoder step.

A search inside the file, where one is wanted, runs behind the encoder.

Two sessions would spin against each other for the same cores. Graph inputs that the chosen branch
doesn't read have no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import tf2onnx

from edgecap_export import onnx_caption, onnx_merge, onnx_quantization, onnx_view
from edgecap_export.calibration import Samples
from edgecap_export.errors import ExportError
from edgecap_export.greedy import CaptionCall, GreedyRules
from edgecap_export.inspection import Inspection, inspect_views
from edgecap_export.onnx_lstm import MARKS, marked, restore_lstms
from edgecap_export.onnx_zero_state import fold_zero_states
from edgecap_export.progress import Progress
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph
from edgecap_runtime.errors import first_line
from edgecap_runtime.manifest import Manifest

__all__ = ["OnnxWriter"]

# 17 is read by ONNX Runtime from 1.12 on; nothing here needs a newer operator.
_OPSET = 17


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
        greedy: GreedyRules | None = None,
        *,
        one_call: bool = False,
    ) -> None:
        """Convert both functions, quantize what the recipe says, merge and write.

        A search goes from the image on in any case, whether `one_call` asks for it or not.
        """
        progress("convert", 0, 2)
        encode = _convert(graph.encode, graph.encode_specs(images=None))
        fold_zero_states(encode.graph)
        progress("convert", 1, 2)
        step = _convert(graph.step, graph.step_specs())
        restore_lstms(step.graph)
        progress("convert", 2, 2)
        progress("quantize", 0, 1)
        encode, step = onnx_quantization.quantize(encode, step, graph, recipe, samples)
        progress("quantize", 1, 1)
        merged = onnx_merge.merge(encode, step, graph, greedy)
        onnx.checker.check_model(merged, full_check=True)
        path.write_bytes(merged.SerializeToString())

    def inspect(self, path: Path, kind: str) -> Inspection:
        """Read the file back and list its operators and weights."""
        model = onnx.load(path)
        encode, step = onnx_view.view(model, "encode"), onnx_view.view(model, kind)
        return inspect_views(encode, step, *onnx_view.operators(model, kind))

    def open_caption(self, path: Path, manifest: Manifest, threads: int) -> CaptionCall:
        """Give the file's one call from image to ids, in a plain session."""
        return onnx_caption.open_caption(path, manifest, threads)


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
