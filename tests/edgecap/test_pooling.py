"""Each pooling is trained from, and its files say what the trained model says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecap.captioner import TrainedCaptioner
from edgecap.encoders.pooling import POOLINGS
from edgecap_export import Prover, export
from edgecap_runtime import Captioner

from .conftest import learn_colours

MORE = sorted(set(POOLINGS) - {"average"})


@pytest.fixture(scope="module", params=MORE)
def pooled(
    request: pytest.FixtureRequest,
    tiny_data: Path,
    tiny_weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainedCaptioner:
    """A captioner that learned the colours from a map of two lines."""
    run = learn_colours(
        tmp_path_factory.mktemp("pooled") / "run", tiny_data, tiny_weights,
        "encoder.size=64", f"encoder.pooling={request.param}",
    )  # fmt: skip
    record = json.loads((run / "run.json").read_text())
    assert record["provenance"]["scores"]["dev"]["greedy"]["corpus_bleu"][0] > 80
    assert record["encoder"] == {
        "name": "mobilenet", "size": 64, "width": 0.25, "pooling": request.param,
    }  # fmt: skip
    loaded = TrainedCaptioner.load(run)
    width = {"average_and_maximum": 2, "quarters": 5, "map": 4}[request.param] * 256
    assert loaded.encoder.output_shape == (None, width)
    return loaded


@pytest.fixture(scope="module")
def prover(pooled: TrainedCaptioner, tiny_data: Path) -> Prover:
    """What Keras says of all photographs, for all files of a captioner."""
    return Prover(pooled.source(), sorted((tiny_data / "images").iterdir()))


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("recipe", ["float32", "dynamic-int8"])
def test_a_file_says_what_the_captioner_says(
    prover: Prover, tiny_data: Path, suffix: str, recipe: str, tmp_path: Path
) -> None:
    photographs = sorted((tiny_data / "images").iterdir())
    path = tmp_path / f"captioner{suffix}"
    # The random encoder's features differ by so little that the decoder's standardising enlarges
    # the last bit past the gate.
    report = export(prover.source, path, recipe=recipe, prover=prover, gate=False)
    assert report.parity is not None
    assert report.parity.token_exact_greedy >= (1 if recipe == "float32" else 0.9)
    with Captioner.load(path, threads=1) as captioner:
        said = [captioner.caption(photo, beam=1).text for photo in photographs[:8]]
    assert len(set(said)) > 2
