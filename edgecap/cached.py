"""Exported files of captioners that were named where a file belongs: made once, then kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import edgecap
from edgecap.box import find_run
from edgecap.features import default_cache
from edgecap.files import make_folder
from edgecap_export.recipe_files import recipe_of
from edgecap_runtime.errors import EdgecapError
from edgecap_runtime.manifest import FORMAT_VERSION

if TYPE_CHECKING:
    from edgecap_export import ExportReport, Recipe

_PARTS = ("run.json", "vocabulary.txt", "encoder.weights.h5", "decoder.weights.h5")
"""What an exported file depends on of a run."""

_CALIBRATED_ON = 128
"""Photographs to calibrate on, at most."""

_KEPT = 8
"""Files in the cache: a float32 InceptionV3 has 100 MB."""


@dataclass(frozen=True)
class CachedFile:
    """A captioner as a .tflite file in the user's cache folder."""

    run: Path
    """The captioner in Keras form."""

    recipe: Recipe
    """What becomes of its weights."""

    path: Path
    """Where the file is, once it is made. Its name holds a hash of the captioner, the recipe and
    the version of edgecap, so a file of another captioner can't be taken for it."""

    @classmethod
    def of(cls, captioner: str | Path, recipe: str = "float32") -> CachedFile:
        """Say where a captioner's file is.

        Args:
            captioner: a run or a name from the box.
            recipe: by name, or a .toml or .json file.

        Raises:
            OptionError: there is no such captioner or recipe.
            EdgecapError: a part of the run can't be read.
        """
        run, chosen = find_run(captioner, or_file=True), recipe_of(recipe)
        name = f"{run.resolve().name}-{chosen.name}-{_key(run, chosen)}.tflite"
        return cls(run, chosen, default_cache().with_name("captioners") / name)

    def found(self) -> bool:
        """Say whether the file is there; it counts as the one used last then."""
        try:
            os.utime(self.path)
        except OSError:
            # Not there; or in a cache that may be read alone, where nothing is deleted either.
            return self.path.is_file()
        return True

    def make(self, progress: Callable[[str, int, int], None] | None = None) -> ExportReport:
        """Export the captioner, proven on the sample photographs in the box.

        They serve to calibrate on too, where the recipe is calibrated. Of more than a few files
        those that were used longest ago are deleted.

        Raises:
            EdgecapError: as for `edgecap.exporting.export_run`; there is no file then.
        """
        from edgecap.exporting import CalibrationPhotos, ParityImages, export_run

        make_folder(self.path.parent)
        report = export_run(
            self.run,
            self.path,
            recipe=self.recipe,
            images=ParityImages.choose(data=None, split="", photos=None, limit=0),
            calibrate=CalibrationPhotos.samples(count=_CALIBRATED_ON, seed=0),
            progress=progress,
        )
        _delete_all_but(self.path.parent, _KEPT)
        return report


def _delete_all_but(folder: Path, kept: int) -> None:
    """Delete the captioners in the cache that were used longest ago."""

    def used(path: Path) -> float:
        # Another process may be deleting too.
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
        return 0.0

    for path in sorted(folder.glob("*.tflite"), key=used, reverse=True)[kept:]:
        path.unlink(missing_ok=True)


def _key(run: Path, recipe: Recipe) -> str:
    """Hash all that the file depends on."""
    digest = hashlib.sha256()
    about = [edgecap.__version__, FORMAT_VERSION, asdict(recipe)]
    digest.update(json.dumps(about, sort_keys=True).encode())
    for part in _PARTS:
        try:
            digest.update(hashlib.sha256((run / part).read_bytes()).digest())
        except OSError as problem:
            raise EdgecapError(
                f"can't read {str(run / part)!r} ({problem.strerror}); restore it, or train again"
            ) from problem
    return digest.hexdigest()[:16]
