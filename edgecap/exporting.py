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
from edgecap_runtime.photos import photographs_in

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, ExportReport, Recipe

SAMPLES = "samples"
"""What names the sample photographs where a folder to calibrate on is asked for."""

_TRAIN = "train"
_SHOWN = 5
"""Differing captions that are printed."""


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
            OptionError: both `data` and `photos` are given.
            ImageError: the folder holds no photograph.
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
        paths = tuple(Path(path) for path in photographs_in(photos)[:limit])
        return cls(paths, None)


@dataclass(frozen=True)
class CalibrationPhotos:
    """The photographs that a recipe may be calibrated on."""

    paths: tuple[Path, ...]
    """The image files; some of them are chosen by a seed."""

    said: str
    """What they are, in a few words."""

    count: int = 128
    """How many are chosen, at most."""

    seed: int = 0
    """Which."""

    @classmethod
    def choose(
        cls,
        *,
        given: str | None,
        data: Path | None,
        split: str,
        count: int,
        seed: int,
        images: Path | None = None,
    ) -> CalibrationPhotos | None:
        """Find photographs to calibrate on, or None where nothing says which.

        Args:
            given: a folder, or "samples" for those in the box.
            data: a dataset whose train split serves where nothing is given; never the split that
                files are proven on.
            split: the split that files are proven on.
            count: how many are chosen.
            seed: by what.
            images: the folder with the dataset's image files, if it is in no usual place.

        Raises:
            ImageError: the folder can't be read or holds no photograph.
        """
        if given == SAMPLES:
            return cls.samples(count=count, seed=seed)
        if given is not None:
            paths = tuple(Path(path) for path in photographs_in(given))
            said = f"the photographs in {given}"
        elif data is not None and split != _TRAIN:
            dataset = load_dataset(data, images=images)
            if _TRAIN not in dataset.photos:
                return None
            paths = tuple(photo.path for photo in dataset.split(_TRAIN))
            said = f"the photographs of the train split of {data}"
        else:
            return None
        return cls(paths, said, count, seed)

    @classmethod
    def samples(cls, *, count: int, seed: int) -> CalibrationPhotos:
        """Take those in the box."""
        paths = tuple(sample_photos())
        return cls(paths, f"the {len(paths)} sample photographs in the box", count, seed)

    @classmethod
    def of_recipe(
        cls,
        recipe: Recipe,
        *,
        given: str | None,
        data: Path | None,
        split: str,
        count: int,
        seed: int,
    ) -> CalibrationPhotos | None:
        """Do as `choose` for a recipe that is calibrated; give None for another.

        Raises:
            OptionError: something is given although the recipe is not calibrated.
        """
        if recipe.calibrated:
            return cls.choose(given=given, data=data, split=split, count=count, seed=seed)
        if given is not None:
            raise OptionError(
                f"--calibrate is given but recipe {recipe.name!r} is not calibrated; leave it out, "
                "or choose a recipe that is (see `edgecap recipes`)"
            )
        return None

    def used(self, calibration: Calibration) -> str:
        """Say in a line what of them a calibration was made on."""
        return f"calibrated on {len(calibration.names)} of {self.said}, seed {calibration.seed}"

    def shared_with(self, images: ParityImages, calibration: Calibration) -> int:
        """Count the photographs calibrated on that an export is proven on too."""
        taken = {path.resolve() for path in self.paths if path.name in calibration.names}
        return len(taken & {path.resolve() for path in images.paths})

    def calibration(
        self, source: CaptionerSource, progress: Callable[[str, int, int], None] | None = None
    ) -> Calibration:
        """Choose and prepare them; raises `OptionError` for too few that can be read."""
        from edgecap_export import choose_calibration

        return choose_calibration(
            self.paths,
            source.preparation,
            progress,
            count=self.count,
            seed=self.seed,
            carried=source.check_pictures,
        )


def check_is_run(run: str | Path) -> None:
    """Raise `OptionError` for an exported file where a run belongs."""
    if Path(run).is_file():
        raise OptionError(
            f"{str(run)!r} is a file, not a run, and what is exported already can't be exported or "
            "quantized again; give the run that it was made from."
        )


def adjusted(
    recipe: Recipe,
    *,
    keep_float: Sequence[str],
    all_blocks: bool,
    ranges: str | None,
    bias_correction: bool,
    processor: str | None = None,
) -> Recipe:
    """Change a recipe as a command's options say.

    Args:
        recipe: what is changed.
        keep_float: names of blocks of the encoder to leave in float32 besides the recipe's own;
            several may stand in one text, with commas between.
        all_blocks: whether blocks that int8 is known to hurt are quantized as well.
        ranges: how ranges are calibrated, None for the recipe's own way.
        bias_correction: whether biases are corrected where the recipe does so.
        processor: what an .onnx file's integer products are to be right on, None for what the
            recipe says.

    Raises:
        OptionError: an option changes nothing about this recipe, or its value is not legal.
    """
    blocks = [name.strip() for text in keep_float for name in text.split(",") if name.strip()]
    if blocks and recipe.encoder == "float32":
        raise OptionError(
            f"--keep-float names {', '.join(blocks)}, but recipe {recipe.name!r} leaves all of the "
            "encoder in float32; leave it out, or choose another recipe (see `edgecap recipes`)"
        )
    if all_blocks and recipe.encoder == "float32":
        raise OptionError(
            f"--all-blocks is given, but recipe {recipe.name!r} leaves all of the encoder in "
            "float32; leave it out, or choose another recipe (see `edgecap recipes`)"
        )
    if ranges is not None and not recipe.calibrated:
        raise OptionError(
            f"--ranges is {ranges!r}, but recipe {recipe.name!r} is not calibrated; leave it out, "
            "or choose a recipe that is (see `edgecap recipes`)"
        )
    if processor is not None and recipe.encoder != "static-int8":
        raise OptionError(
            f"--processor is {processor!r}, but recipe {recipe.name!r} multiplies on all alike; "
            "leave it out, or choose a recipe with an encoder in static-int8"
        )
    return recipe.changed(
        processor=processor or recipe.processor,
        keep_float=tuple(dict.fromkeys([*recipe.keep_float, *blocks])),
        spare_delicate=recipe.spare_delicate and not all_blocks,
        ranges=ranges or recipe.ranges,
        bias_correction=recipe.bias_correction and bias_correction,
    )


def export_run(
    run: str | Path,
    out: Path,
    *,
    recipe: Recipe,
    images: ParityImages,
    calibrate: CalibrationPhotos | None = None,
    search: bool | None = None,
    one_call: bool = False,
    check_photos: Sequence[Path] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ExportReport:
    """Export a run.

    Args:
        run: a run or a name from the box.
        out: the file to write.
        recipe: what becomes of the weights.
        images: what the file is proven on.
        calibrate: what a calibrated recipe is calibrated on.
        search: whether the file holds the greedy search; None for where the decoder can have it.
        one_call: whether the file is to caption in one call too, from image to ids.
        check_photos: four photographs that the file carries, small, to check itself by; None for
            samples in the box.
        progress: called with (stage, done, total).

    Returns:
        What was written and how it compares.

    Raises:
        EdgecapError: as `edgecap_export.export` does; `ParityError` below the gate.
    """
    from edgecap_export import export

    check_is_run(run)
    if recipe.calibrated and calibrate is None:
        raise OptionError(
            f"recipe {recipe.name!r} is calibrated on photographs and none are given; give a "
            "folder of 100 to 300 with --calibrate FOLDER, a dataset that has a train split with "
            f"--data, or --calibrate {SAMPLES} for the few in the box"
        )
    source = TrainedCaptioner.load(find_run(run)).source(check_photos)
    calibration = None
    if recipe.calibrated and calibrate is not None:
        calibration = calibrate.calibration(source, progress)
    return export(
        source,
        out,
        recipe=recipe,
        images=images.paths,
        references=images.references,
        scorer=bleu4_difference,
        search=search,
        one_call=one_call,
        calibration=calibration,
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


def remarks(
    images: ParityImages,
    photographs: CalibrationPhotos | None,
    calibration: Calibration | None,
) -> list[str]:
    """Name what was left out, and say if files are proven on what they may be calibrated on.

    Args:
        images: what is proven on.
        photographs: what is calibrated on, some of it.
        calibration: what was made of that, if a recipe took it.
    """
    notes = [f"left out {problem}" for problem in images.problems]
    if photographs is not None and calibration is not None:
        notes += [f"left out of the calibration: {why}" for why in calibration.left_out]
        shared = photographs.shared_with(images, calibration)
        if shared:
            notes.append(
                f"{shared} of the photographs that Keras is compared on are calibrated on too; "
                "others tell more"
            )
    return notes


def report_lines(made: ExportReport, calibrated: CalibrationPhotos | None = None) -> list[str]:
    """Say in a few lines what was written and how it compares with Keras.

    calibrated: what it was calibrated on, to be named.
    """
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
    if parity.search_exact is not None:
        lines.append(
            f"search inside the file: {parity.search_exact:.1%} of the captions are those that it "
            "says word by word"
        )
    if parity.one_call_exact is not None:
        lines.append(
            f"one call from image to ids: {parity.one_call_exact:.1%} of the captions are those "
            "that the file says word by word"
        )
    for search, score in (parity.scores or {}).items():
        lines.append(
            f"corpus BLEU-4, {search}: {score['bleu4']:.2f}, Keras {score['bleu4_keras']:.2f}, "
            f"difference {score['difference']:+.2f} "
            f"(95 % bootstrap interval {score['low']:+.2f} to {score['high']:+.2f})"
        )
    if made.calibration is not None and calibrated is not None:
        lines.append(calibrated.used(made.calibration))
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
