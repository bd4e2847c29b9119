"""A process that exports one captioner by many recipes; speaks as `edgecap_bench.worker` does.

One for each captioner: what TensorFlow keeps is given back, and a crash is that captioner's alone.
Requests: {"do": "start", ...} with the arguments of `_Maker.start`, then {"do": "export", "path":
file, "recipe": name}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecap_bench.worker import own_streams, serve

if TYPE_CHECKING:
    from edgecap_export import Calibration, CaptionerSource, Prover

__all__: list[str] = []


class _Maker:
    def __init__(self) -> None:
        self._source: CaptionerSource
        self._prover: Prover
        self._calibration: Calibration
        self._references: tuple[Any, ...]

    def start(
        self, run: str, data: str, split: str, images: int, calibrated_on: int
    ) -> dict[str, Any]:
        """Load the run, caption the photographs by Keras, and prepare those to calibrate on."""
        from edgecap.captioner import TrainedCaptioner
        from edgecap.data import load_dataset
        from edgecap_export import Prover, choose_calibration

        dataset = load_dataset(data)
        photos = dataset.split(split)[:images]
        self._source = TrainedCaptioner.load(run).source()
        self._references = tuple(photo.captions for photo in photos)
        self._calibration = choose_calibration(
            [photo.path for photo in dataset.split("train")],
            self._source.preparation,
            count=calibrated_on,
            carried=self._source.check_pictures,
        )
        self._prover = Prover(self._source, [photo.path for photo in photos])
        return {
            "encoder": self._source.encoder_name,
            "decoder": self._source.decoder_name,
            "images": len(photos),
        }

    def export(self, path: str, recipe: str) -> dict[str, Any]:
        """Export by a recipe, and say how the file compares with Keras, or why there is none."""
        from edgecap.exporting import bleu4_difference
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
                references=self._references,
                scorer=bleu4_difference,
            )
        except (OptionError, ExportError) as problem:
            return {"refused": str(problem)}
        parity = report.parity
        return {
            "bytes": report.size,
            "weights": {part: dict(types) for part, types in report.inspection.shares().items()},
            "greedy": parity.token_exact_greedy,
            "beam": parity.token_exact_beam,
            "p99": parity.p99,
            "passed": parity.passed,
            "scores": parity.scores,
        }


def main() -> None:
    """Serve until the requests end."""
    maker = _Maker()
    serve(*own_streams(), {"start": maker.start, "export": maker.export})


if __name__ == "__main__":
    main()
