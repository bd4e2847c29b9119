"""Exported files through edgecap's runtime, as an application runs them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from edgecap_bench.sample import Sample
from edgecap_bench.targets.registry import Kind, Plan, Setting, register

if TYPE_CHECKING:
    from edgecap_runtime import Captioner

__all__ = ["RuntimeFile", "plan_file", "recipes_of"]

_TARGET = "edgecap_bench.targets.runtime_file:RuntimeFile"
_INTERPRETERS = {"tflite": "ai_edge_litert.interpreter", "onnx": "onnxruntime"}


class RuntimeFile:
    """A .tflite or .onnx file in `edgecap_runtime.Captioner`."""

    def __init__(self, file: str, threads: int) -> None:
        self._file = file
        self._threads = threads
        self._captioner: Captioner
        self.kind: str
        self.searched: str

    def bring_in(self) -> None:
        """Import the runtime and the interpreter."""
        from edgecap_runtime.containers import container_of

        import_module("edgecap_runtime.captioner")
        try:
            import_module(_INTERPRETERS[container_of(self._file)])
        except ImportError:
            # Loading tries the old interpreter too, or says in a sentence what is missing.
            return

    def load(self) -> None:
        """Open the file."""
        from edgecap_runtime import Captioner

        self._captioner = Captioner.load(self._file, threads=self._threads)
        manifest = self._captioner.manifest
        self.kind = manifest.kind
        inside = manifest.greedy is not None and manifest.greedy.suits(manifest.decoding(beam=1))
        self.searched = "inside" if inside else "outside"

    def caption(self, photo: str, beam: int) -> Sample:
        """Caption a photograph's file, with the file's own defaults but for the beam."""
        cpu, begun = process_time(), perf_counter()
        caption = self._captioner.caption(photo, beam=beam)
        whole_ms = (perf_counter() - begun) * 1e3
        cpu_ms = (process_time() - cpu) * 1e3
        times = caption.timings
        return Sample(
            times.prepare,
            times.encode,
            times.decode,
            whole_ms,
            cpu_ms,
            times.steps,
            list(caption.ids),
            list(caption.words),
        )

    def check(self) -> dict[str, Any]:
        """Tell whether the file says here what it said where it was exported."""
        result = self._captioner.check().to_dict()
        return {key: result[key] for key in ("passed", "largest", "tolerance")}

    def batch(self, photos: Sequence[str]) -> str:
        """Caption many, as fast as the runtime can; says how that is done."""
        self._captioner.caption_batch(photos, beam=1)
        return "caption_batch"


_USUAL = ("float32", "dynamic-int8", "static-int8")
"""Recipes that a table has where a user names none."""


def plan_file(label: str, file: Path, threads: int, recipe: str | None = None) -> Plan:
    """Plan the row of an exported file, or of one that `recipe` is going to make."""
    arguments: dict[str, Any] = {"file": str(file), "threads": threads}
    return Plan(
        label=label,
        files=(file,),
        threads=threads,
        start={"target": _TARGET, "arguments": arguments},
        recipe=recipe,
        has_floor=True,
    )


def recipes_of() -> tuple[str, ...]:
    """Give the recipes by which a file can be made."""
    from edgecap_export.recipes import recipe_names

    return recipe_names()


def _register(kind: str, description: str) -> None:
    def plan(setting: Setting, variant: str) -> Plan:
        file = setting.out / f"{setting.name}-{variant}.{kind}"
        return plan_file(f"{kind}:{variant}", file, setting.threads, variant)

    register(Kind(kind, description, recipes_of, plan, usual=_USUAL))


_register("tflite", "exported by a recipe (tflite:RECIPE), run by edgecap-runtime on LiteRT")
_register("onnx", "exported by a recipe (onnx:RECIPE), run by edgecap-runtime on ONNX Runtime")
