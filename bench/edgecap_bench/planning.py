"""From the words of the command line to a `Benchmark`; all bad input is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecap.box import find_run, sample_photos
from edgecap.files import make_folder
from edgecap_bench.benchmark import Benchmark, Effort
from edgecap_bench.exporting import CALIBRATION_IMAGES, CALIBRATION_SEED
from edgecap_bench.targets import Plan, Setting, plan_targets
from edgecap_bench.targets.bare import plan_floor
from edgecap_bench.targets.runtime_file import plan_file
from edgecap_runtime.backends import default_threads
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError
from edgecap_runtime.photos import photographs_in
from edgecap_runtime.preparation import open_photo

if TYPE_CHECKING:
    from edgecap.data import Photo
    from edgecap.exporting import CalibrationPhotos

__all__ = ["find_photos", "plan_benchmark"]


def plan_benchmark(
    captioners: Sequence[str],
    *,
    targets: Sequence[str] | None,
    photos: Path | None,
    data: Path | None,
    images: Path | None,
    split: str,
    quality_images: int | None,
    threads: Sequence[int] | None,
    beams: Sequence[int],
    effort: Effort,
    bare: bool,
    seed: int,
    out: Path,
    resume: bool = False,
) -> Benchmark:
    """Settle what is to be measured; the arguments are the command's options.

    Raises `EdgecapError` (`OptionError`, `BundleError`, `ImageError`) for what is not legal,
    before anything is written but the folder `out`.
    """
    if data is None and (images is not None or quality_images is not None):
        raise OptionError(
            "--images and --quality-images belong to the scores; give the dataset with --data."
        )
    counts = tuple(sorted(set(threads))) if threads else (default_threads(),)
    files = [Path(name) for name in captioners if Path(name).is_file()]
    runs = [name for name in captioners if not Path(name).is_file()]
    run, name = None, files[0].stem if len(files) == 1 else f"{len(files)} files"
    if len(runs) > 1:
        raise OptionError(f"One RUN at a time can be measured, not {len(runs)}: {', '.join(runs)}.")
    if not runs and targets is not None:
        raise OptionError(
            "--targets says what a RUN is measured as, and only files are given; leave it out, or "
            "give a RUN."
        )
    if runs:
        run, name = _run_and_name(runs[0])
    passes = []
    for count in counts:
        plans = _plans_of_files(files, count)
        if run is not None:
            setting = Setting(run=run, name=name, out=out.resolve(), threads=count)
            plans = [*plan_targets(setting, targets), *plans]
        # What has no number of threads takes its turns with the last.
        plans = [plan for plan in plans if plan.threads is not None or count == counts[-1]]
        passes.append(
            tuple(item for plan in plans for item in (_with_floor(plan, count) if bare else [plan]))
        )
    everything = [plan for plans in passes for plan in plans]
    return Benchmark(
        captioner=name,
        passes=tuple(passes),
        run=run,
        photos=tuple(find_photos(photos)),
        images=_quality_images(data, images, split, quality_images),
        split=None if data is None else split,
        threads=counts,
        beams=tuple(sorted({1, *beams})),
        effort=effort,
        seed=seed,
        calibration=_calibration(everything, data, images, split),
        out=make_folder(out),
        resume=resume,
    )


def find_photos(where: Path | None) -> list[Path]:
    """Give the photographs of a folder in alphabetical order, or edgecap's samples for None.

    Raises `OptionError` or `ImageError` where there are none, `ImageError` if one can't be used.
    """
    if where is None:
        found = sample_photos()
        if not found:
            raise OptionError(
                "This edgecap has no sample photographs; give a folder of yours with --photos."
            )
    elif where.is_dir():
        found = [Path(path) for path in photographs_in(where)]
    else:
        found = [where]
    for path in found:
        open_photo(path)
    return [path.resolve() for path in found]


def _plans_of_files(files: Sequence[Path], threads: int) -> list[Plan]:
    labels = [path.name for path in files]
    plans = []
    for path in files:
        read_manifest(path)  # refuse what is no captioner before anything starts
        label = path.name if labels.count(path.name) == 1 else str(path)
        plans.append(plan_file(label, path.resolve(), threads))
    return plans


def _run_and_name(name: str) -> tuple[Path, str]:
    from edgecap.captioner import read_design

    run = find_run(name).resolve()
    return run, read_design(run).name


def _with_floor(plan: Plan, threads: int) -> list[Plan]:
    return [plan, plan_floor(plan, threads)] if plan.has_floor else [plan]


def _calibration(
    plans: Sequence[Plan], data: Path | None, images: Path | None, split: str
) -> CalibrationPhotos | None:
    """Take the train split of the data, unless that is what is scored, or edgecap's samples."""
    from edgecap_export.recipes import recipe_named

    if not any(plan.recipe is not None and recipe_named(plan.recipe).calibrated for plan in plans):
        return None
    from edgecap.exporting import CalibrationPhotos

    count, seed = CALIBRATION_IMAGES, CALIBRATION_SEED
    found = CalibrationPhotos.choose(
        given=None, data=data, split=split, count=count, seed=seed, images=images
    )
    return found or CalibrationPhotos.samples(count=count, seed=seed)


def _quality_images(
    data: Path | None, images: Path | None, split: str, count: int | None
) -> tuple[Photo, ...]:
    if data is None:
        return ()
    from edgecap.data import load_dataset

    return load_dataset(data, images=images).split(split)[:count]
