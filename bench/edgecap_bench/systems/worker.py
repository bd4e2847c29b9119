"""A process that trains one system and exports its files; speaks as `edgecap_bench.worker` does.

One for each system: what TensorFlow keeps of a training is given back, and a crash is that
system's alone. Requests: {"do": "train", ...} with the arguments of `_Maker.train`, then
{"do": "export", "path": file, "recipe": name}.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecap_bench.worker import own_streams, serve

if TYPE_CHECKING:
    from edgecap_export import CaptionerSource, Prover

__all__: list[str] = []


class _Maker:
    def __init__(self) -> None:
        self._source: CaptionerSource
        self._prover: Prover

    def train(
        self,
        encoder: str,
        decoder: str,
        size: int,
        settings: Sequence[str],
        weights: str | None,
        vocabulary_of: str | None,
        data: str,
        folder: str,
    ) -> dict[str, Any]:
        """Teach the captioner, and caption the photographs by Keras for the comparison.

        `weights`: the encoder's file, None for random ones; `vocabulary_of`: a run whose words
        are taken.
        """
        from edgecap.box import sample_photos
        from edgecap.captioner import read_design
        from edgecap.encoders import EncoderOptions
        from edgecap_bench.systems.teaching import adapted_weights, teach
        from edgecap_export import Prover

        home = Path(folder)
        captioner, epochs = teach(
            encoder,
            decoder,
            [f"encoder.size={size}", *settings],
            weights=Path(weights)
            if weights
            else adapted_weights(encoder, EncoderOptions(size), home / "random.weights.h5"),
            data=Path(data),
            folder=home,
            vocabulary=read_design(Path(vocabulary_of)).vocabulary if vocabulary_of else None,
        )
        self._source = captioner.source()
        self._prover = Prover(self._source, sample_photos())
        return {"epochs": epochs, "words": len(captioner.design.vocabulary)}

    def export(self, path: str, recipe: str) -> dict[str, Any]:
        """Export by a recipe, and say how the file compares with Keras and where it falls short."""
        from edgecap_export import export

        report = export(self._source, path, recipe=recipe, gate=False, prover=self._prover)
        parity = report.parity
        return {
            "failures": list(parity.failures),
            "bytes": report.size,
            "images": parity.images,
            "distinct": parity.distinct,
            "greedy": round(parity.token_exact_greedy * parity.images),
            "beam": round(parity.token_exact_beam * parity.images),
            "largest": parity.largest,
            "p99": parity.p99,
        }


def main() -> None:
    """Serve until the requests end."""
    maker = _Maker()
    serve(*own_streams(), {"train": maker.train, "export": maker.export})


if __name__ == "__main__":
    main()
