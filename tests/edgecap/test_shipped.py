"""The captioner in the box: whole, small, and proven on real photographs where there are any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from edgecap.box import captioners, find_run, sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.cli import main
from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
from edgecap.targets import TARGETS, export_targets

pytestmark = pytest.mark.processor

FLICKR8K = Path(__file__).parents[3] / "shared" / "data" / "flickr8k"


def test_it_is_whole_and_small() -> None:
    folder = captioners()["mobilenet-lstm"]
    assert folder == find_run("mobilenet-lstm")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20e6
    assert (folder / "README.md").read_text("utf-8").startswith("# mobilenet-lstm")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["provenance"]["licence"]
    captioner = TrainedCaptioner.load(folder)
    assert len(captioner.design.vocabulary) == captioner.decoder.vocabulary_size


def test_the_samples_are_small_and_their_sources_are_named() -> None:
    photos = sample_photos()
    assert len(photos) >= 6
    sources = (photos[0].parent / "SOURCES.md").read_text("utf-8")
    for photo in photos:
        assert f"`{photo.name}`" in sources
        with Image.open(photo) as image:
            assert max(image.size) <= 640
            assert not image.getexif()


@pytest.mark.slow
def test_it_keeps_its_words_on_the_samples(tmp_path: Path) -> None:
    """No target of `edgecap demo` is refused on this processor."""
    exports = export_targets(
        find_run("mobilenet-attention"),
        tmp_path,
        images=ParityImages.choose(data=None, split="", photos=None, limit=0),
        calibrate=CalibrationPhotos.samples(count=len(sample_photos()), seed=0),
        scorer=bleu4_difference,
        progress=lambda stage, done, total: None,
    )
    assert {name: str(result) for name, result in exports.results.items()
            if name not in exports.made} == {}  # fmt: skip
    assert list(exports.made) == [f"{suffix} {recipe}" for suffix, recipe in TARGETS]
    for report in exports.made.values():
        assert report.path.is_file()
        assert report.parity.verdict == f"checked on {len(sample_photos())} images"
        assert report.parity.distinct >= 8


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs ../shared/data/flickr8k")
@pytest.mark.parametrize(
    ("suffix", "recipe", "identical"),
    [("tflite", "float32", 0.999), ("onnx", "dynamic-int8", 0.9)],
)
def test_it_is_proven_on_a_hundred_photographs(
    suffix: str, recipe: str, identical: float, tmp_path: Path
) -> None:
    path = tmp_path / f"captioner.{suffix}"
    done = CliRunner().invoke(
        main,
        [
            "export", "mobilenet-lstm", "-o", str(path), "--quantize", recipe,
            "--data", str(FLICKR8K), "--images", "100", "--json",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    parity = json.loads(done.stdout)["parity"]
    assert parity["verdict"] == "proven"
    assert min(parity["token_exact_greedy"], parity["token_exact_beam"]) >= identical
    assert parity["scores"]["beam"]["low"] <= parity["scores"]["beam"]["difference"]
