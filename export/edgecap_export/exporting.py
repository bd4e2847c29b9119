"""From a captioner in memory to one proven file."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from edgecap_export.blocks import delicate_blocks
from edgecap_export.calibration import Calibration, Samples, take_samples
from edgecap_export.check_pictures import self_check
from edgecap_export.destination import folder_beside, writing
from edgecap_export.errors import ParityError
from edgecap_export.formats import FormatWriter, writer_for
from edgecap_export.greedy import GreedyRules
from edgecap_export.inspection import Inspection, check
from edgecap_export.parity import Parity, References, Scorer, compare
from edgecap_export.progress import Progress, silent
from edgecap_export.prover import Prover
from edgecap_export.recipes import Recipe, recipe_named, recipe_names
from edgecap_export.source import CaptionerSource
from edgecap_export.step_graph import CaptionerGraph, build_graph
from edgecap_export.tolerances import tolerance_of
from edgecap_export.treatments import PARTS, TREATMENTS
from edgecap_runtime.backends import default_threads
from edgecap_runtime.bundle import write_bundle
from edgecap_runtime.errors import OptionError
from edgecap_runtime.manifest import Manifest, SearchInside, StateTensor

__all__ = ["ExportReport", "export"]

_TOOLS = (
    "edgecap",
    "keras",
    "tensorflow",
    "litert-quantizer",
    "ai-edge-litert",
    "tf2onnx",
    "onnx",
    "onnxruntime",
)
_NAMED_DIFFERENCES = 3
_PLAIN = recipe_named("float32")


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    path: Path
    """The file."""
    format: str
    """"TFLite" or "ONNX"."""
    recipe: str
    """The recipe's name."""
    size: int
    """Bytes of the file, manifest included."""
    inspection: Inspection
    """Operators, and weights by part and type."""
    parity: Parity
    """The comparison with Keras."""
    calibration: Calibration | None = None
    """The photographs that the recipe was calibrated on, if it was."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as what JSON can hold."""
        return {
            "path": str(self.path),
            "format": self.format,
            "recipe": self.recipe,
            "size": self.size,
            "inspection": self.inspection.to_dict(),
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "parity": self.parity.to_dict(),
        }


def export(
    source: CaptionerSource,
    path: str | os.PathLike[str],
    *,
    recipe: str | Recipe = "float32",
    images: Sequence[Any] | None = None,
    references: References | None = None,
    scorer: Scorer | None = None,
    gate: bool = True,
    search: bool | None = None,
    one_call: bool = False,
    calibration: Calibration | None = None,
    progress: Progress | None = None,
    prover: Prover | None = None,
    check_pictures: Sequence[Any] | None = None,
) -> ExportReport:
    """Write a captioner as one file and prove that it says what the Keras model says.

    Args:
        source: the captioner.
        path: the file to write; its ending chooses the format (.tflite or .onnx).
        recipe: name of a recipe, or one of your own, on what becomes of the weights.
        images: photographs (paths, bytes, Pillow images or uint8 arrays) to compare on; 100 or
            more prove the file. Without any, a few generated pictures stand in. Of fewer than 100,
            and of generated ones, only the log probabilities are held to the gate.
        references: for each image its reference captions as words, for the scorer.
        scorer: scores the file's captions beside Keras' ones; see `parity.Scorer`.
        gate: whether a file below the recipe's gate is refused; if not, it is written and its
            report says "failed".
        search: whether the file holds the greedy search, from the first state on, by the source's
            default rules; the runtime captions by it, several steps in one call. It is proven to
            say what the file says word by word. None for where the decoder can have it.
        one_call: whether the file is to caption in one call too, from image to ids, by the same
            search.
        calibration: photographs to calibrate on, from `choose_calibration`, for a recipe that takes
            them (`Recipe.calibrated`).
        progress: told of progress (stage, done, total).
        prover: the Keras side of the comparison from `Prover(source, images)`, to be used for
            several exports; `images` is then left out.
        check_pictures: photographs of which the first four go into the file as the small pictures
            that it checks itself by, for whoever gets the file to see; None for the source's, or
            generated ones where it has none. A prover has its own.

    Returns:
        What was written. The report on parity is in the file as well.

    Raises:
        OptionError: an unknown ending or recipe, options that contradict each other, or a search
            for a captioner that can't have it.
        ExportError: this captioner can't be converted, or the file is not what the recipe says.
        ParityError: the file says something else than Keras; nothing is left at `path`.
        EdgecapError: `path` can't be written. Whatever stood there stays after any error.
    """
    tell = progress or silent
    target = Path(path)
    writer = writer_for(target)
    chosen = recipe if isinstance(recipe, Recipe) else recipe_named(recipe)
    chosen = chosen.sparing(delicate_blocks(source))
    mine = images is None and check_pictures is None
    if prover is not None and (prover.source is not source or not mine):
        raise OptionError(
            "A prover was made for one source and its images; give it with that source and "
            "without images or check pictures."
        )
    given = images if prover is None else prover.pictures.names
    count = 0 if given is None else len(given)
    if references is not None and len(references) != count:
        raise OptionError(
            f"There are references for {len(references)} images but {count} images; give one list "
            "of references per image."
        )
    if chosen.calibrated and calibration is None:
        raise OptionError(
            f"Recipe {chosen.name!r} is calibrated on photographs and none are given; give 100 to "
            "300 that are like those it will caption."
        )
    rules = _rules(source, search, one_call)
    suffix = target.suffix.lower()
    with folder_beside(target) as folder:
        model_file, packed = folder / f"model{suffix}", folder / f"packed{suffix}"
        graph = build_graph(source, chosen, writer.recurrence)
        _check_possible(writer, graph, chosen)
        samples = None
        if chosen.calibrated and calibration is not None:
            samples = _samples(source, chosen, calibration, tell)
        with writing(target):
            writer.write(graph, chosen, model_file, tell, samples, rules, one_call=one_call)
        inspection = writer.inspect(model_file, graph.kind)
        check(inspection, chosen)
        manifest = _manifest(source, chosen, inspection, calibration, rules, one_call)
        write_bundle(model_file, manifest, packed)
        prover = prover or Prover(source, images, progress, check_pictures)
        parity = compare(
            packed,
            prover,
            chosen.gate,
            tell,
            scorer,
            references,
            writer.open_caption(packed, manifest, default_threads()) if one_call else None,
        )
        if gate and not parity.passed:
            raise ParityError(_refusal(target, chosen, parity), parity)
        carried = self_check(packed, prover.check_pictures, tolerance_of(chosen))
        manifest = replace(manifest, parity=_for_others(parity), check_json=carried.to_json())
        write_bundle(model_file, manifest, packed)
        with writing(target):
            os.replace(packed, target)
    size = target.stat().st_size
    used = calibration if chosen.calibrated else None
    return ExportReport(target, writer.name, chosen.name, size, inspection, parity, used)


def _rules(source: CaptionerSource, search: bool | None, one_call: bool) -> GreedyRules | None:
    """Give the rules of a search inside the file, None where there is none.

    Raises `OptionError` where one is asked for that can't be.
    """
    if search is False and one_call:
        raise OptionError(
            "One call from image to ids is made by the search inside the file, which is to be left "
            "out; leave out either."
        )
    if search is False:
        return None
    try:
        return GreedyRules.of(source)
    except OptionError:
        if search or one_call:
            raise
        return None


def _samples(
    source: CaptionerSource, recipe: Recipe, calibration: Calibration, tell: Progress
) -> Samples:
    """Give what the graphs are given in use; the step's part takes time, so only if needed."""
    decoder = [TREATMENTS[recipe.treatment(part)] for part in ("step", "output")]
    if not any(treatment.calibrated for treatment in decoder):
        return Samples(calibration.pixels, ())
    return take_samples(source, build_graph(source, _PLAIN), calibration, tell)


def _check_possible(writer: FormatWriter, graph: CaptionerGraph, recipe: Recipe) -> None:
    """Raise `OptionError` for what the format can't have; the sentence names what it can."""
    for part, reason in writer.lacks(graph, recipe).items():
        treatment = recipe.treatment(part)
        nearest = _nearest(writer, graph, recipe, part)
        raise OptionError(
            f"{writer.name} can't have the {part} as {treatment!r}, which recipe {recipe.name!r} "
            f"asks for: {reason}; the nearest that works is {nearest!r}, in "
            f"{_with_treatment(part, nearest)}."
        )


def _nearest(writer: FormatWriter, graph: CaptionerGraph, recipe: Recipe, part: str) -> str:
    """Name the treatment most like the recipe's that the part can have in this format."""
    treatment = recipe.treatment(part)
    tried = {treatment}
    while (nearest := TREATMENTS[treatment].nearest) is not None:
        if nearest in tried or part not in TREATMENTS[nearest].parts:
            break
        if part not in writer.lacks(graph, recipe.changed(**{part: nearest})):
            return nearest
        tried.add(nearest)
        treatment = nearest
    return "float32"


def _with_treatment(part: str, treatment: str) -> str:
    """Name the recipes that treat a part so."""
    names = [name for name in recipe_names() if recipe_named(name).treatment(part) == treatment]
    return f"recipe {' or '.join(names)}" if names else "a recipe of your own"


def _manifest(
    source: CaptionerSource,
    recipe: Recipe,
    inspection: Inspection,
    calibration: Calibration | None,
    rules: GreedyRules | None,
    one_call: bool,
) -> Manifest:
    made: dict[str, Any] = {"recipe": recipe.to_dict(), "weights": inspection.weight_bytes}
    if recipe.calibrated and calibration is not None:
        made["calibration"] = calibration.to_dict()
    search = None
    if rules is not None:
        search = SearchInside(rules.max_words, rules.min_words, rules.no_repeat_ngram)
    tools = {}
    for name in _TOOLS:
        try:
            tools[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Manifest(
        name=source.name,
        encoder=source.encoder_name,
        decoder=source.decoder_name,
        recipe=recipe.name,
        processor=recipe.processor,
        preparation=source.preparation,
        vocabulary=source.vocabulary,
        kind=source.decoder.kind,
        prefix=source.prefix,
        greedy=search,
        one_call=search if one_call else None,
        state=tuple(
            StateTensor(name, (int(width),)) for name, width in source.decoder.state_spec.items()
        ),
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        defaults=source.defaults,
        source={**source.provenance, "tools": tools, "quantization": made},
    )


def _for_others(parity: Parity) -> dict[str, Any]:
    """Give the report as the file keeps it, without its maker's folders."""
    report = parity.to_dict()
    for item in report["differences"]:
        item["image"] = os.path.basename(item["image"])
    return report


def _refusal(target: Path, recipe: Recipe, parity: Parity) -> str:
    names = list(dict.fromkeys(item.image for item in parity.differences))
    shown = ", ".join(names[:_NAMED_DIFFERENCES])
    more = len(names) - _NAMED_DIFFERENCES
    where = f"; images that differ: {shown}" if names else ""
    where += f" and {more} more" if more > 0 else ""
    advice = "choose another recipe, such as float32"
    if recipe.calibrated:
        advice = (
            "calibrate on more photographs like those it will caption, or choose a recipe with a "
            "float encoder, such as dynamic-int8"
        )
    elif recipe.parts_treated("float32") == frozenset(PARTS):
        advice = "choose the other format, and report this captioner: float32 should never differ"
    if parity.search_exact not in (None, 1):
        advice = "leave the search out"
    elif parity.one_call_exact not in (None, 1) and len(parity.failures) == 1:
        advice = "leave the one call out"
    return (
        f"{target.name} does not say what the Keras model says: {'; '.join(parity.failures)}"
        f"{where}; nothing was written: {advice}."
    )
