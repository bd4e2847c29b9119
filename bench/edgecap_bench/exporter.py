"""A process that exports a run's files for the benchmark; speaks as `worker` does.

Apart from the benchmark's own process, so that TensorFlow isn't beside the targets while they are
timed. Requests: {"do": "start", "run": folder, "photos": [...]} and {"do": "export", "path": file,
"recipe": name}. "start" takes the photographs to calibrate on too.
"""

from __future__ import annotations

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
        self._calibration: Calibration

    def start(self, run: str, photos: Sequence[str], calibrate: Sequence[str]) -> dict[str, Any]:
        """Load the run, and caption the photographs by Keras for the comparison.

        calibrate: photographs of which recipes are calibrated on 128, chosen by a seed.
        """
        from edgecap.captioner import TrainedCaptioner
        from edgecap_export import Prover, choose_calibration

        self._source = TrainedCaptioner.load(run).source()
        self._prover = Prover(self._source, list(photos))
        self._calibration = choose_calibration(
            calibrate, self._source.preparation, lambda stage, done, total: None
        )
        return {}

    def export(self, path: str, recipe: str) -> dict[str, Any]:
        """Export by a recipe; a file below its gate is measured too, its row says so."""
        from edgecap_export import export

        report = export(
            self._source,
            path,
            recipe=recipe,
            gate=False,
            prover=self._prover,
            calibration=self._calibration,
        )
        return {"verdict": report.parity.verdict}


def main() -> None:
    """Serve until the requests end."""
    exporter = _Exporter()
    serve(*own_streams(), {"start": exporter.start, "export": exporter.export})


if __name__ == "__main__":
    main()
