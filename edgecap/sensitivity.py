"""What quantizing each part of a captioner, and each block of its encoder, does to the words."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgecap.box import sample_photos
from edgecap.exporting import ParityImages, bleu4_difference
from edgecap.files import make_folder
from edgecap.timing import time_files
from edgecap_runtime.atomic import replacing

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, ExportReport, Recipe

COLUMNS = ("quantized", "kB saved", "words changed", "log p", "BLEU-4", "encode", "a word")
"""The heads of `Damage.cells`."""

_TIMED_PHOTOS = 5
_WHOLE = "everything"


@dataclass(frozen=True)
class Damage:
    """What one variant costs and saves, next to the float32 file of the same format."""

    name: str
    """What is quantized: a part, a block of the encoder, or everything."""

    kind: str
    """"part", "block" or "all"."""

    bytes_saved: int
    """How much smaller the file is."""

    changed: float
    """Share of the captions that are other ones than Keras', greedy, 0 to 1."""

    p99: float
    """99th percentile of the difference of a log probability at equal prefixes, nats."""

    bleu4: dict[str, float] | None
    """Corpus BLEU-4 greedy minus Keras', with the ends of its 95 % interval, if captions are at
    hand."""

    encode_ms: float
    """Median time to encode a photograph."""

    word_ms: float
    """Median time of a word."""

    def cells(self) -> list[str]:
        """Give it as text."""
        score = self.bleu4
        return [
            f"  {self.name}" if self.kind == "block" else self.name,
            f"{self.bytes_saved / 1e3:,.0f}",
            f"{self.changed:.1%}",
            f"{self.p99:.2g}",
            "-"
            if score is None
            else f"{score['difference']:+.2f} ({score['low']:+.2f} to {score['high']:+.2f})",
            f"{self.encode_ms:.1f}",
            f"{self.word_ms:.2f}",
        ]


@dataclass(frozen=True)
class Sensitivity:
    """The report."""

    recipe: str
    """Name of the recipe whose treatments were tried."""

    images: int
    """Photographs compared on."""

    rows: tuple[Damage, ...]
    """In the order of the road: parts, the encoder's blocks from first to last, everything."""

    kept: Damage | None
    """Everything quantized but the block that hurts most; None where no block is quantized."""

    @property
    def by_damage(self) -> list[Damage]:
        """The rows, those that hurt most first."""
        return sorted(self.rows, key=lambda row: (-row.p99, -row.changed))

    @property
    def worst_block(self) -> Damage | None:
        """The block that hurts most, if any is quantized."""
        blocks = [row for row in self.by_damage if row.kind == "block"]
        return blocks[0] if blocks else None

    def verdict(self) -> str:
        """Say which block hurts most and what keeping it in float would bring."""
        worst, kept = self.worst_block, self.kept
        if worst is None or kept is None:
            return f"recipe {self.recipe} leaves the encoder in float32: no block of it hurts"
        whole = next(row for row in self.rows if row.kind == "all")
        more = (whole.bytes_saved - kept.bytes_saved) / 1e3
        return (
            f"{worst.name} hurts most: alone it changes {worst.changed:.1%} of the captions (log p "
            f"{worst.p99:.2g}). With --keep-float {worst.name} the recipe changes "
            f"{kept.changed:.1%} instead of {whole.changed:.1%} (log p {kept.p99:.2g} instead of "
            f"{whole.p99:.2g}), and the file is {more:,.0f} kB larger."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "recipe": self.recipe,
            "images": self.images,
            "rows": [asdict(row) for row in self.rows],
            "kept": None if self.kept is None else asdict(self.kept),
            "verdict": self.verdict(),
        }

    def write(self, folder: Path) -> Path:
        """Write sensitivity.json, .csv and .png into a folder; gives the picture's path.

        Raises:
            EdgecapError: they can't be written.
        """
        make_folder(folder)
        with replacing(folder / "sensitivity.json") as stream:
            stream.write(json.dumps(self.to_dict(), indent=2).encode())
        with replacing(folder / "sensitivity.csv") as stream:
            stream.write(self._csv().encode())
        picture = folder / "sensitivity.png"
        with replacing(picture) as stream:
            _draw(self, stream)
        return picture

    def _csv(self) -> str:
        lines = io.StringIO()
        table = csv.writer(lines)
        table.writerow(["name", "kind", "bytes_saved", "changed", "p99", "bleu4_difference"])
        for row in self.rows:
            score = "" if row.bleu4 is None else f"{row.bleu4['difference']:.3f}"
            table.writerow(
                [row.name, row.kind, row.bytes_saved, f"{row.changed:.4f}", f"{row.p99:.5f}", score]
            )
        return lines.getvalue()


def measure_sensitivity(
    source: CaptionerSource,
    recipe: Recipe,
    suffix: str,
    *,
    images: ParityImages,
    calibration: Calibration | None,
    threads: int | None = None,
    progress: Callable[[str, int, int], None],
) -> Sensitivity:
    """Quantize one part or block at a time, all else in float32, and compare each with Keras.

    Args:
        source: the captioner.
        recipe: how each part is treated.
        suffix: the file format, ".tflite" or ".onnx".
        images: what is compared on.
        calibration: for a recipe that is calibrated.
        threads: of the interpreters while they are timed.
        progress: called with (stage, done, total).

    Raises:
        EdgecapError: a part can't be treated so in this format.
    """
    from edgecap_export import Prover, export

    variants = list(_variants(source, recipe))
    stage = "quantizing one at a time"
    progress(stage, 0, len(variants) + 3)
    prover = Prover(source, images.paths)
    with tempfile.TemporaryDirectory(prefix="edgecap-sensitivity-") as folder:

        def make(name: str, variant: Recipe) -> ExportReport:
            return export(
                source,
                Path(folder) / f"{name}{suffix}",
                recipe=variant,
                prover=prover,
                gate=False,
                calibration=calibration,
                references=images.references,
                scorer=bleu4_difference,
            )

        made = {"float32": make("float32", recipe.changed(**_all_float()))}
        for place, (name, _, variant) in enumerate(variants):
            progress(stage, place + 1, len(variants) + 3)
            made[name] = make(name.replace(" ", "-"), variant)
        blocks = [(made[name].parity.p99, name) for name, kind, _ in variants if kind == "block"]
        kept = None
        if blocks:
            kept = f"all but {max(blocks)[1]}"
            variant = recipe.changed(keep_float=(*recipe.keep_float, max(blocks)[1]))
            made[kept] = make(kept.replace(" ", "-"), variant)
        progress(stage, len(variants) + 2, len(variants) + 3)
        timed = time_files(
            {name: report.path for name, report in made.items()},
            sample_photos()[:_TIMED_PHOTOS],
            threads=threads,
            progress=lambda done, total: progress("timing", done, total),
        )
        progress(stage, len(variants) + 3, len(variants) + 3)

    def damage(name: str, kind: str) -> Damage:
        report = made[name]
        scores = report.parity.scores
        return Damage(
            name=name,
            kind=kind,
            bytes_saved=made["float32"].size - report.size,
            changed=1 - report.parity.token_exact_greedy,
            p99=report.parity.p99,
            bleu4=None if scores is None else dict(scores["greedy"]),
            encode_ms=timed[name].encode,
            word_ms=timed[name].word,
        )

    return Sensitivity(
        recipe=recipe.name,
        images=len(images.paths),
        rows=tuple(damage(name, kind) for name, kind, _ in variants),
        kept=None if kept is None else damage(kept, "all"),
    )


def _all_float() -> dict[str, Any]:
    from edgecap_export.treatments import PARTS

    return {**dict.fromkeys(PARTS, "float32"), "keep_float": ()}


def _variants(source: CaptionerSource, recipe: Recipe) -> Iterator[tuple[str, str, Recipe]]:
    """Yield name, kind and recipe of each variant, in the order of the road."""
    from edgecap_export import encoder_blocks
    from edgecap_export.treatments import PARTS

    for part in PARTS:
        if recipe.treatment(part) == "float32":
            continue
        alone = {**_all_float(), part: recipe.treatment(part)}
        if part == "encoder":
            alone["keep_float"] = recipe.keep_float
        yield part, "part", recipe.changed(**alone)
        if part == "encoder":
            names = [block.name for block in encoder_blocks(source.encoder)]
            for name in names:
                if name not in recipe.keep_float:
                    others = tuple(other for other in names if other != name)
                    yield name, "block", recipe.changed(**{**alone, "keep_float": others})
    yield _WHOLE, "all", recipe


def _draw(report: Sensitivity, stream: IO[bytes]) -> None:
    """Draw a bar for each row, from the photograph at the top to the words at the bottom."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _drawn(report)
    figure = Figure(figsize=(9, 0.28 * len(rows) + 1.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = {"part": "tab:blue", "block": "tab:gray", "all": "black"}
    worst = report.worst_block
    places = range(len(rows))
    axes.barh(
        places,
        [row.p99 for row in rows],
        color=["tab:red" if row is worst else colours[row.kind] for row in rows],
    )
    for place, row in zip(places, rows, strict=True):
        axes.annotate(
            f"{row.changed:.0%} of captions",
            (row.p99, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(list(places), [row.name for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.18, y=0.01)
    axes.set_xlabel("difference of log probabilities from Keras', 99th percentile (nats)")
    axes.set_title(
        f"{report.recipe}, one part (blue) or encoder block (grey) quantized at a time; "
        f"{report.images} photographs",
        fontsize=10,
        loc="left",
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(stream, dpi=110, format="png")


def _drawn(report: Sensitivity) -> Sequence[Damage]:
    last = [] if report.kept is None else [report.kept]
    return [*report.rows, *last]
