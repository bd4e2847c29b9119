"""Makes the files of a run's targets before anything is timed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edgecap_bench.measure import Progress, Row
from edgecap_bench.process import WorkerError, WorkerProcess

__all__ = ["CALIBRATION_IMAGES", "CALIBRATION_SEED", "EXPORT_ENVIRONMENT", "export_all"]

CALIBRATION_IMAGES = 128
"""Photographs that a recipe is calibrated on, at most, ..."""
CALIBRATION_SEED = 0
"""... and what they are chosen by."""

_COMMAND = (sys.executable, "-P", "-m", "edgecap_bench.exporter")
EXPORT_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}
_TIMEOUT_S = 3600.0
_COMPARED = 100
"""Most photographs on which an export is compared with Keras; as many prove it."""


def export_all(
    wanted: Sequence[Row],
    rows: Sequence[Row],
    run: Path,
    photos: Sequence[Path],
    calibrate: Sequence[Path],
    logs: Path,
    progress: Progress,
) -> None:
    """Export each wanted row's file from a run; a row that fails, and its floor, say why.

    photos: what each is compared with Keras on; calibrate: what recipes are calibrated on.
    """
    compared = [str(photo) for photo in photos[:_COMPARED]]
    worker: WorkerProcess | None = None
    try:
        for done, row in enumerate(wanted):
            progress(done, len(wanted))
            try:
                if worker is None:
                    worker = WorkerProcess(
                        _COMMAND, EXPORT_ENVIRONMENT, logs / "export.log", _TIMEOUT_S
                    )
                    worker.ask(
                        "start",
                        run=str(run),
                        photos=compared,
                        calibrate=[str(photo) for photo in calibrate],
                    )
                worker.ask("export", path=str(row.plan.files[0]), recipe=row.plan.recipe)
            except WorkerError as problem:
                _fail(row, rows, str(problem))
                if worker is not None and not worker.alive:
                    worker.close()
                    worker = None
        progress(len(wanted), len(wanted))
    finally:
        if worker is not None:
            worker.close()


def _fail(row: Row, rows: Sequence[Row], reason: str) -> None:
    # A file of an earlier run may lie there; measuring that would be wrong.
    for item in rows:
        if row.plan.label in (item.plan.label, item.plan.floor_of):
            item.error = f"the export failed: {reason}"
