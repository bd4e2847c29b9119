"""Export as the commands do it: a run by name, photographs from wherever, BLEU as the scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecap.box import find_run, sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.data import load_dataset
from edgecap.metrics import corpus_bleu, paired_bootstrap_bleu4
from edgecap_runtime.errors import OptionError

if TYPE_CHECKING:
    from edgecap_export import ExportReport

_SHOWN = 5
"""Differing captions that are printed."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True)
class ParityImages:
    """The photographs that an export is proven on."""

    paths: tuple[Path, ...]
    """The image files."""

    references: tuple[tuple[tuple[str, ...], ...], ...] | None
    """Captions of each, where the data has them."""

    problems: tuple[str, ...] = ()
    """Photographs that were left out, and why."""

    @classmethod
    def choose(
        cls, *, data: Path | None, split: str, photos: Path | None, limit: int
    ) -> ParityImages:
        """Take the first `limit` photographs of a split or a folder, or the samples in the box.

        Raises:
            OptionError: both `data` and `photos` are given, or the folder holds no photograph.
        """
        if data is not None and photos is not None:
            raise OptionError("--data and --photos are both given; choose one of them")
        if data is not None:
            dataset = load_dataset(data)
            chosen = dataset.split(split)[:limit]
            return cls(
                tuple(photo.path for photo in chosen),
                tuple(photo.captions for photo in chosen),
                tuple(f"{problem.name}: {problem.reason}" for problem in dataset.problems),
            )
        if photos is None:
            return cls(tuple(sample_photos()), None)
        paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not paths:
            raise OptionError(
                f"the folder {str(photos)!r} holds no photograph; those end in "
                f"{', '.join(sorted(_SUFFIXES))}"
            )
        return cls(tuple(paths[:limit]), None)


def export_run(
    run: str | Path,
    out: Path,
    *,
    recipe: str,
    images: ParityImages,
    progress: Callable[[str, int, int], None] | None = None,
) -> ExportReport:
    """Export a run.

    Returns:
        What was written and how it compares.

    Raises:
        EdgecapError: as `edgecap_export.export` does; `ParityError` below the gate.
    """
    from edgecap_export import export

    captioner = TrainedCaptioner.load(find_run(run))
    return export(
        captioner.source(),
        out,
        recipe=recipe,
        images=images.paths,
        references=images.references,
        scorer=bleu4_difference,
        progress=progress,
    )


def bleu4_difference(
    candidates: Sequence[Sequence[str]],
    baseline: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
) -> dict[str, float]:
    """Corpus BLEU-4 of both, and the paired difference with its 95 % bootstrap interval."""
    return {
        "bleu4": round(corpus_bleu(candidates, references)[3], 3),
        "bleu4_keras": round(corpus_bleu(baseline, references)[3], 3),
        **paired_bootstrap_bleu4(candidates, baseline, references),
    }


def report_lines(made: ExportReport) -> list[str]:
    """Say in a few lines what was written and how it compares with Keras."""
    parity = made.parity
    on = f"{parity.images} {'generated pictures' if parity.generated else 'photographs'}"
    lines = [
        f"{made.path}: {made.format}, {made.recipe}, {made.size / 1e6:.1f} MB",
        f"{parity.verdict}: of {on}, {parity.token_exact_greedy:.1%} of the captions are "
        f"Keras' own, word for word, by greedy search, {parity.token_exact_beam:.1%} by "
        f"beam {parity.beam}",
        f"log-probabilities at equal prefixes: largest difference {parity.largest:.2g}, "
        f"99th percentile {parity.p99:.2g}",
    ]
    for search, score in (parity.scores or {}).items():
        lines.append(
            f"corpus BLEU-4, {search}: {score['bleu4']:.2f}, Keras {score['bleu4_keras']:.2f}, "
            f"difference {score['difference']:+.2f} "
            f"(95 % bootstrap interval {score['low']:+.2f} to {score['high']:+.2f})"
        )
    for part, types in made.inspection.shares().items():
        shares = ", ".join(f"{share:.0%} {kind}" for kind, share in sorted(types.items()))
        lines.append(f"weights of the {part}: {shares}")
    lines += [
        f"differs, {item.search}: {item.image}: {item.exported!r}, Keras {item.reference!r}"
        for item in parity.differences[:_SHOWN]
    ]
    if len(parity.differences) > _SHOWN:
        lines.append(f"and {len(parity.differences) - _SHOWN} more; --json lists them all")
    return lines
