"""The .tflite writer: two signatures, `encode` and the step's, in one file; the step comes first.

The step's signature is named by the decoder's kind. `greedy` and `caption` are made of these two.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from edgecap_export import flatbuffer, flatbuffer_view
from edgecap_export.calibration import Samples
from edgecap_export.errors import ExportError
from edgecap_export.greedy import CaptionCall, GreedyRules
from edgecap_export.inspection import Inspection, inspect_views
from edgecap_export.loop import loop
from edgecap_export.progress import Progress
from edgecap_export.quiet import quiet
from edgecap_export.recipes import Recipe
from edgecap_export.step_graph import CaptionerGraph, freeze
from edgecap_export.tflite_builder import part_results
from edgecap_export.tflite_caption import add_search, open_caption
from edgecap_export.tflite_quantization import STATIC, TREATED, quantize
from edgecap_export.treatments import PARTS
from edgecap_runtime.errors import first_line
from edgecap_runtime.kinds import KINDS
from edgecap_runtime.manifest import Manifest

__all__ = ["TFLiteWriter"]


class TFLiteWriter:
    """Writes .tflite files with built-in operators only."""

    name = "TFLite"
    recurrence = staticmethod(loop)

    def lacks(self, graph: CaptionerGraph, recipe: Recipe) -> Mapping[str, str]:
        """Say for which parts the recipe asks what this format can't have, and why."""
        missing = {
            part: "LiteRT runs no such operators"
            for part in PARTS
            if recipe.treatment(part) not in TREATED
        }
        if recipe.step in STATIC and not KINDS[graph.kind].carries:
            missing["step"] = "it runs in a loop, into which calibration can't look"
        return missing

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
        """Convert, quantize what the recipe says, put the file right and write it."""
        progress("convert", 0, 1)
        model = flatbuffer.read(_convert(graph))
        flatbuffer.name_apart(model)
        progress("convert", 1, 1)
        progress("quantize", 0, 1)
        model = quantize(model, graph, recipe, samples)
        progress("quantize", 1, 1)
        flatbuffer.raise_versions(model)
        flatbuffer.put_first(model, graph.kind)
        flatbuffer.drop_row_signatures(model)
        if greedy is not None:
            add_search(model, graph, greedy, one_call=one_call)
        # The loops of the search have no need of it, and are made before.
        part_results(model, graph.kind)
        flatbuffer.share_buffers(model)
        path.write_bytes(flatbuffer.write(model))

    def inspect(self, path: Path, kind: str) -> Inspection:
        """Read the file back and list its operators and weights."""
        model = flatbuffer.read(path.read_bytes())
        encode, step = (flatbuffer_view.view(model, name) for name in ("encode", kind))
        return inspect_views(encode, step, *flatbuffer_view.operators(model, kind))

    def open_caption(self, path: Path, manifest: Manifest, threads: int) -> CaptionCall:
        """Give the file's one call from image to ids, in a plain interpreter."""
        return open_caption(path, threads)


def _convert(graph: CaptionerGraph) -> bytes:
    """Give the float model, its two frozen functions as the signatures of a SavedModel."""
    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder, quiet():
        module.encode = freeze(graph.encode, graph.encode_specs(images=1))
        module.step = freeze(graph.step, graph.step_specs())
        signatures = {"encode": module.encode, graph.kind: module.step}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return bytes(converter.convert())
        except Exception as problem:
            raise ExportError(
                f"TensorFlow can't convert this captioner to built-in operators "
                f"({first_line(problem)}); build the decoder's step from Keras cells."
            ) from problem
