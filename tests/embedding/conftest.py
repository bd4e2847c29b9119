"""Captioners and prepared photographs for programs in other languages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

# The tests share `programs`, and the hand-made captioners of the runtime's tests.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

import tiny

from edgecap_runtime import Captioner
from edgecap_runtime.bundle import write_bundle
from edgecap_runtime.manifest import Manifest
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.preparation import prepare

SAMPLES = Path(__file__).parents[2] / "edgecap" / "samples"


@dataclass(frozen=True)
class Case:
    """A captioner's file, and the pixels that a program is given."""

    path: Path
    manifest: Manifest
    pixels: bytes
    """Prepared photographs, one behind the other."""

    def python(self, **rules: int) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
        """What the Python runtime says of the photographs, greedily: ids and words."""
        shape = (-1, self.manifest.preparation.height, self.manifest.preparation.width, 3)
        images = np.frombuffer(self.pixels, np.uint8).reshape(shape)
        with Captioner.load(self.path, threads=1) as captioner:
            said = [captioner.caption(image, beam=1, **rules) for image in images]
        return [(caption.ids, caption.words) for caption in said]


def _exported(folder: Path, suffix: str) -> Case:
    pytest.importorskip("tensorflow")
    from click.testing import CliRunner

    from edgecap.cli import main

    path = folder / f"captioner{suffix}"
    words = ["export", "mobilenet-lstm", "-o", str(path), "--quantize", "static-int8"]
    done = CliRunner().invoke(main, [*words, "--calibrate", str(SAMPLES), "--one-call"])
    assert done.exit_code == 0, done.output
    with Captioner.load(path, threads=1) as captioner:
        manifest = captioner.manifest
    photos = sorted(SAMPLES.glob("*.jpg"))
    assert len(photos) >= 14
    pixels = b"".join(prepare(photo, manifest.preparation).tobytes() for photo in photos)
    return Case(path, manifest, pixels)


@pytest.fixture(scope="session")
def tflite_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The captioner in the box with its search inside, .tflite, and the sample photographs."""
    return _exported(tmp_path_factory.mktemp("tflite"), ".tflite")


@pytest.fixture(scope="session")
def onnx_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The same as .onnx."""
    return _exported(tmp_path_factory.mktemp("onnx"), ".onnx")


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Case]:
    """Make a tiny .onnx captioner: `step`, or a prefix by its name in `tiny.PREFIXES`."""
    pytest.importorskip("onnx")

    def make(kind: str, **rules: int) -> Case:
        path = tmp_path_factory.mktemp(kind) / "tiny.onnx"
        model = tiny.TinyModel.random()
        prefix = tiny.PREFIXES.get(kind)
        changes = {} if prefix is None else {"kind": "prefix", "prefix": prefix}
        ids = ("rows",) if prefix is None else ("rows", prefix.length or "words")
        tiny.write_onnx(model, path, ids)
        defaults = DecodingOptions(max_words=8, **rules)
        manifest = tiny.tiny_manifest(defaults=defaults, **changes)
        write_bundle(path, manifest, path)
        colours = np.random.default_rng(7).integers(0, 256, (40, 1, 1, 3))
        pixels = np.broadcast_to(colours, (40, tiny.SIDE, tiny.SIDE, 3)).astype(np.uint8)
        return Case(path, manifest, pixels.tobytes())

    return make
