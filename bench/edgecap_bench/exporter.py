"""A process that exports a run's files for the benchmark; speaks as `worker` does.

Apart from the benchmark's own process, so that TensorFlow isn't beside the targets while they are
timed. Requests: {"do": "start", "run": folder, "photos": [...], "calibrate": [...]} and {"do":
"export", "path": file, "recipe": name}.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecap_bench.worker import own_streams, serve

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, Prover

__all__: list[str] = []


class _Exporter:
    def __init__(self) -> None:
        self._source: CaptionerSource
        self._prover: Prover
        self._photos: Sequence[str]
        self._calibration: Calibration | None = None

    def start(self, run: str, photos: Sequence[str], calibrate: Sequence[str]) -> dict[str, Any]:
        """Load the run, and caption the photographs by Keras for the comparison.

        calibrate: photographs of which some are chosen once a recipe is calibrated.
        """
        from edgecap.captioner import TrainedCaptioner
        from edgecap_export import Prover

        self._source = TrainedCaptioner.load(run).source()
        self._prover = Prover(self._source, list(photos))
        self._photos = calibrate
        return {}

    def export(self, path: str, recipe: str) -> dict[str, Any]:
        """Export by a recipe; a file below its gate is measured too, its row says so."""
        from edgecap_export import export, recipe_named

        report = export(
            self._source,
            path,
            recipe=recipe,
            gate=False,
            prover=self._prover,
            calibration=self._calibrated() if recipe_named(recipe).calibrated else None,
        )
        return {"verdict": report.parity.verdict}

    def _calibrated(self) -> Calibration:
        """Prepare photographs at the first need: where they are too few, only those rows fail."""
        from edgecap_bench.exporting import CALIBRATION_IMAGES, CALIBRATION_SEED
        from edgecap_export import choose_calibration

        if self._calibration is None:
            self._calibration = choose_calibration(
                self._photos,
                self._source.preparation,
                count=CALIBRATION_IMAGES,
                seed=CALIBRATION_SEED,
                carried=self._source.check_pictures,
            )
            for problem in self._calibration.left_out:
                print(f"left out of the calibration: {problem}", file=sys.stderr)
        return self._calibration


def main() -> None:
    """Serve until the requests end."""
    exporter = _Exporter()
    serve(*own_streams(), {"start": exporter.start, "export": exporter.export})


if __name__ == "__main__":
    main()
