"""A process that exports one captioner by many recipes; speaks as `edgecap_bench.worker` does.

Requests: {"do": "start", ...} with the arguments of `_Maker.start`, then {"do": "export", "path":
file, "recipe": name}.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap_bench.worker import own_streams, serve

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, Prover

__all__: list[str] = []

_CALIBRATED_ON = 128


class _Maker:
    def __init__(self) -> None:
        self._source: CaptionerSource
        self._prover: Prover
        self._calibration: Calibration

    def start(
        self, run: str, photos: Sequence[str], calibrate: Sequence[str], folder: str
    ) -> dict[str, Any]:
        """Load the run, and write what Keras says about the photographs to a folder."""
        from edgecap.box import sample_photos
        from edgecap.captioner import TrainedCaptioner
        from edgecap_bench.processors.keras_side import write_keras_side
        from edgecap_export import Prover, choose_calibration

        self._source = TrainedCaptioner.load(run).source()
        self._calibration = choose_calibration(
            list(calibrate), self._source.preparation, count=_CALIBRATED_ON
        )
        prover = Prover(self._source, list(photos))
        write_keras_side(prover, Path(folder))
        # What a file says of its own proof needs no more photographs than these.
        samples = sample_photos()
        few = len(photos) <= len(samples)
        self._prover = prover if few else Prover(self._source, samples)
        return {
            "encoder": self._source.encoder_name,
            "decoder": self._source.decoder_name,
            "images": len(photos),
        }

    def export(self, path: str, recipe: str) -> dict[str, Any]:
        """Export by a recipe; returns its gate and the file's bytes, or why there is none."""
        from dataclasses import asdict

        from edgecap_export import ExportError, export
        from edgecap_runtime.errors import OptionError

        try:
            report = export(
                self._source,
                path,
                recipe=recipe,
                gate=False,
                prover=self._prover,
                calibration=self._calibration,
            )
        except (OptionError, ExportError) as problem:
            return {"refused": str(problem)}
        return {"bytes": report.size, "gate": asdict(report.parity.gate)}


def main() -> None:
    """Serve until the requests end."""
    maker = _Maker()
    serve(*own_streams(), {"start": maker.start, "export": maker.export})


if __name__ == "__main__":
    main()
