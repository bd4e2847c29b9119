"""What quantizing each part of a captioner, and each block of its encoder, does to the words."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap.box import sample_photos
from edgecap.exporting import ParityImages, bleu4_difference
from edgecap.timing import OtherWork, Timing, time_files
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, ExportReport, Recipe

_PLAIN = "nothing"
_WHOLE = "all parts"
_TIMED_PHOTOS = 5
_KEPT_AT_MOST = 3
"""Blocks that hurt most are kept in float32 together, up to so many: the harm of neighbours adds
up, so that keeping one of them may gain nothing."""


@dataclass(frozen=True)
class Damage:
    """What one file costs and saves, next to the float32 file of the same format."""

    name: str
    """What is quantized: nothing, a part, a block of the encoder, or all parts; or a block that is
    not."""

    kind: str
    """"none", "part", "block", "all", or "kept": all parts but the blocks of `keeps`."""

    bytes_saved: int
    """How much smaller the file is."""

    changed: float
    """Share of the captions that are other ones than Keras', greedy, 0 to 1."""

    p99: float
    """99th percentile of the difference of a log probability at equal prefixes, nats."""

    bleu4: dict[str, float] | None
    """Corpus BLEU-4 greedy, the file's and Keras', their difference and the ends of its 95 %
    interval, if captions are at hand."""

    encode_ms: float
    """Median time to encode a photograph, milliseconds. It was measured in turns with the float32
    file and is given at that file's usual pace, so that the rows can be compared."""

    word_ms: float
    """Median time of a word, likewise."""

    keeps: tuple[str, ...] = ()
    """Blocks that are kept in float32, besides the recipe's own, those that hurt most first."""

    @property
    def harm(self) -> tuple[float, float]:
        """By what rows are ranked: how far scores move, then how many captions change."""
        return (self.p99 if math.isfinite(self.p99) else math.inf, self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; a difference that is not finite becomes None."""
        known = {**asdict(self), "keeps": list(self.keeps)}
        return {**known, "p99": self.p99 if math.isfinite(self.p99) else None}


@dataclass(frozen=True)
class Sensitivity:
    """What was measured."""

    recipe: str
    """Name of the recipe whose treatments were tried."""

    format: str
    """"TFLite" or "ONNX"."""

    images: int
    """Photographs compared on."""

    plain: Damage
    """The float32 file."""

    rows: tuple[Damage, ...]
    """In the order of the road: parts, within the encoder its blocks, all parts at the end."""

    spared: tuple[str, ...]
    """Blocks that stay in float32 where all parts are quantized: the recipe's own, and those that
    int8 is known to hurt in this family of encoders."""

    kept: tuple[Damage, ...]
    """All parts but the block that hurts most, but the two that do, and so on; none where no block
    is quantized."""

    @property
    def whole(self) -> Damage:
        """All parts."""
        return next(row for row in self.rows if row.kind == "all")

    def by_damage(self, *kinds: str) -> list[Damage]:
        """Give the rows of these kinds, those that hurt most first."""
        rows = [row for row in self.rows if row.kind in kinds]
        return sorted(rows, key=lambda row: row.harm, reverse=True)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "recipe": self.recipe,
            "format": self.format,
            "images": self.images,
            "plain": self.plain.to_dict(),
            "rows": [row.to_dict() for row in self.rows],
            "spared": list(self.spared),
            "kept": [row.to_dict() for row in self.kept],
        }


@dataclass(frozen=True)
class _Variant:
    """A file to make."""

    name: str
    kind: str
    recipe: Recipe
    keeps: tuple[str, ...] = ()


def check_quantizes(recipe: Recipe) -> None:
    """Raise `OptionError` for a recipe that leaves all in float32."""
    from edgecap_export.treatments import PARTS

    if recipe.parts_treated("float32") == frozenset(PARTS):
        raise OptionError(
            f"recipe {recipe.name!r} quantizes nothing; choose another (see `edgecap recipes`)"
        )


def measure_sensitivity(
    source: CaptionerSource,
    recipe: Recipe,
    suffix: str,
    *,
    images: ParityImages,
    calibration: Calibration | None,
    threads: int | None = None,
    others: OtherWork | None = None,
    progress: Callable[[str, int, int], None],
) -> Sensitivity:
    """Quantize one part or block at a time, all else in float32, and compare each with Keras.

    Each takes an export and a proof, some seconds; the files are in a temporary folder, never more
    than two at a time.

    Args:
        source: the captioner.
        recipe: how each part is treated.
        suffix: the file format, ".tflite" or ".onnx".
        images: what is compared on.
        calibration: for a recipe that is calibrated.
        threads: of the interpreters while they are timed.
        others: counts what other programs do meanwhile.
        progress: called with (stage, done, total).

    Raises:
        OptionError: the recipe quantizes nothing, or a part can't be treated so in this format.
        EdgecapError: a file can't be made.
    """
    from edgecap_export import Prover

    check_quantizes(recipe)
    variants = _variants(source, recipe)
    blocks = sum(variant.kind == "block" for variant in variants)
    total = 2 + len(variants) + min(_KEPT_AT_MOST, max(blocks - 1, 0))
    done = 0

    def tell() -> None:
        nonlocal done
        progress("quantizing one at a time", done, total)
        done += 1

    tell()
    prover = Prover(source, images.paths)
    tell()
    made: list[_Measured] = []
    kept: list[_Measured] = []
    with tempfile.TemporaryDirectory(prefix="edgecap-sensitivity-") as folder:
        bench = _Bench(Path(folder), suffix, prover, images, calibration, threads, others)
        plain = bench.begin(_Variant(_PLAIN, "none", recipe.changed(**_all_float())))
        tell()
        # The whole recipe first: what the format can't have then shows at once.
        *alone, everything = variants
        whole = bench.measure(everything)
        tell()
        for variant in alone:
            made.append(bench.measure(variant))
            tell()
        made.append(whole)
        for keeps in _worth_keeping(made, spared=everything.recipe.keep_float):
            changed = recipe.changed(keep_float=(*recipe.keep_float, *keeps))
            kept.append(bench.measure(_Variant(keeps[-1], "kept", changed, keeps)))
            tell()
    encode = statistics.median(one.beside.encode for one in (*made, *kept))
    word = statistics.median(one.beside.word for one in (*made, *kept))
    return Sensitivity(
        recipe=recipe.name,
        format=plain.report.format,
        images=len(images.paths),
        plain=plain.damage(encode, word),
        rows=tuple(one.damage(encode, word) for one in made),
        spared=everything.recipe.keep_float,
        kept=tuple(one.damage(encode, word) for one in kept),
    )


@dataclass(frozen=True)
class _Measured:
    """A variant's file, after it is gone."""

    variant: _Variant
    bytes_saved: int
    report: ExportReport
    timing: Timing
    beside: Timing
    """The float32 file's, in the same rounds."""

    def damage(self, encode: float, word: float) -> Damage:
        """Put it in a row; encode, word: the float32 file's usual milliseconds."""
        parity = self.report.parity
        scores = parity.scores
        return Damage(
            name=self.variant.name,
            kind=self.variant.kind,
            bytes_saved=self.bytes_saved,
            changed=1 - parity.token_exact_greedy,
            p99=parity.p99,
            bleu4=None if scores is None else dict(scores["greedy"]),
            encode_ms=self.timing.encode * encode / self.beside.encode,
            word_ms=self.timing.word * word / self.beside.word,
            keeps=self.variant.keeps,
        )


class _Bench:
    """Makes a variant's file, compares it with Keras, times it beside the float32 file, drops it.

    All open at once would be fairer still, but 35 float files of an InceptionV3 take gigabytes.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str,
        prover: Any,
        images: ParityImages,
        calibration: Calibration | None,
        threads: int | None,
        others: OtherWork | None,
    ) -> None:
        self._folder = folder
        self._suffix = suffix
        self._prover = prover
        self._images = images
        self._calibration = calibration
        self._threads = threads
        self._others = others or OtherWork()
        self._photos = sample_photos()[:_TIMED_PHOTOS]

    def begin(self, plain: _Variant) -> _Measured:
        """Make the float32 file, which stays."""
        self._plain = self._export("plain", plain)
        timing = self._time(self._plain.path)[1]
        return _Measured(plain, 0, self._plain, timing, timing)

    def measure(self, variant: _Variant) -> _Measured:
        # The same name each time: names of blocks are not for files.
        report = self._export("variant", variant)
        timing, beside = self._time(report.path)
        saved = self._plain.size - report.size
        report.path.unlink()
        return _Measured(variant, saved, report, timing, beside)

    def _export(self, name: str, variant: _Variant) -> ExportReport:
        from edgecap_export import export

        return export(
            self._prover.source,
            self._folder / f"{name}{self._suffix}",
            recipe=variant.recipe,
            prover=self._prover,
            gate=False,
            calibration=self._calibration,
            references=self._images.references,
            scorer=bleu4_difference,
        )

    def _time(self, path: Path) -> tuple[Timing, Timing]:
        """Give the times of a file, and those of the float32 file beside it."""
        files = {"variant": path, "plain": self._plain.path}
        with self._others.watched():
            timed = time_files(files, self._photos, threads=self._threads)
        return timed["variant"], timed["plain"]


def _worth_keeping(made: Sequence[_Measured], spared: Sequence[str]) -> list[tuple[str, ...]]:
    """Give the block that hurts most, the two that do, and so on, of those not spared already."""
    blocks = [
        one.damage(1, 1)
        for one in made
        if one.variant.kind == "block" and one.variant.name not in spared
    ]
    worst = [row.name for row in sorted(blocks, key=lambda row: row.harm, reverse=True)]
    return [tuple(worst[: count + 1]) for count in range(min(_KEPT_AT_MOST, len(worst) - 1))]


def _all_float() -> dict[str, Any]:
    from edgecap_export.treatments import PARTS

    return {**dict.fromkeys(PARTS, "float32"), "keep_float": (), "spare_delicate": False}


def _variants(source: CaptionerSource, recipe: Recipe) -> Sequence[_Variant]:
    """Give all that is quantized by itself, in the order of the road, the whole recipe last."""
    from edgecap_export import delicate_blocks, encoder_blocks
    from edgecap_export.treatments import PARTS

    whole = recipe.sparing(delicate_blocks(source))
    made = []
    for part in PARTS:
        if recipe.treatment(part) == "float32":
            continue
        alone = {**_all_float(), part: recipe.treatment(part)}
        if part == "encoder":
            alone["keep_float"] = whole.keep_float
        made.append(_Variant(part, "part", recipe.changed(**alone)))
        if part == "encoder":
            names = [block.name for block in encoder_blocks(source.encoder)]
            quantized = [name for name in names if name not in recipe.keep_float]
            # One block is the encoder itself.
            for name in quantized if len(quantized) > 1 else ():
                others = tuple(other for other in names if other != name)
                only = recipe.changed(**{**alone, "keep_float": others})
                made.append(_Variant(name, "block", only))
    return [*made, _Variant(_WHOLE, "all", whole)]
