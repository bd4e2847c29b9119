"""Writers of file formats, by the ending of the file's name.

A format is added by one module with a `FormatWriter` and one `register_format`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgecap_export.calibration import Samples
from edgecap_export.greedy import CaptionCall, GreedyRules
from edgecap_export.inspection import Inspection
from edgecap_export.progress import Progress
from edgecap_export.recipes import Recipe
from edgecap_export.recurrence import Recurrence
from edgecap_export.step_graph import CaptionerGraph
from edgecap_runtime.errors import MissingExtraError, OptionError
from edgecap_runtime.manifest import Manifest

__all__ = ["FormatWriter", "format_suffixes", "register_format", "writer_for"]


class FormatWriter(Protocol):
    """Turns a captioner's graph into a model file that plain interpreters run."""

    name: str
    """What the format is called in reports."""

    @property
    def recurrence(self) -> Recurrence:
        """How LSTMs run over a sequence, as operations that this writer knows again."""
        ...

    def lacks(self, graph: CaptionerGraph, recipe: Recipe) -> Mapping[str, str]:
        """Say for which parts the recipe asks what can't be had for this captioner, and why."""
        ...

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
        """Write the model, without a manifest; raises `ExportError` where that can't be.

        samples: what the graphs are given in use, for a recipe that is calibrated; greedy: the
        rules of a search inside the file, if there is to be one; one_call: whether it goes from
        the image on too, in one call.
        """
        ...

    def inspect(self, path: Path, kind: str) -> Inspection:
        """Look at what was written; kind: that of the captioner's decoder."""
        ...

    def open_caption(self, path: Path, manifest: Manifest, threads: int) -> CaptionCall:
        """Give the one call of a file that was written with rules, in a plain interpreter."""
        ...


_FORMATS: dict[str, str] = {}


def register_format(suffix: str, writer: str) -> None:
    """Make a writer known: suffix ".tflite", writer "package.module:Class", imported at need."""
    _FORMATS[suffix] = writer


def format_suffixes() -> tuple[str, ...]:
    """Give all known endings of file names."""
    return tuple(_FORMATS)


def writer_for(path: Path) -> FormatWriter:
    """Make the writer for a file's ending.

    Raises `OptionError` for an unknown one, `MissingExtraError` if its converter isn't installed.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise OptionError(
            f"{str(path)!r} ends in {suffix or 'nothing'!r}; end the file's name in "
            f"{' or '.join(_FORMATS)}."
        )
    module, _, name = _FORMATS[suffix].partition(":")
    try:
        return cast(FormatWriter, getattr(import_module(module), name)())
    except ModuleNotFoundError as problem:
        raise MissingExtraError(
            f"Unable to find {problem.name}, which writing {suffix} files needs; get it with: "
            "pip install 'edgecap[export]'"
        ) from problem


register_format(".tflite", "edgecap_export.formats.tflite:TFLiteWriter")
register_format(".onnx", "edgecap_export.formats.onnx:OnnxWriter")
