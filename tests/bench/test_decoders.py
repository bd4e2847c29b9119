"""Every way of the benchmark to say a word, for decoders that step and for those that can't."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.sample import Sample
from edgecap_bench.targets.keras_step import KerasStep
from edgecap_bench.targets.notebook import CompiledNotebook, Notebook
from edgecap_bench.targets.runtime_file import RuntimeFile

from .conftest import write_run

BARE = Path(__file__).parents[2] / "bench" / "bare.py"

SMALL: dict[str, Any] = {
    "embedding": 16,
    "word_units": (12,),
    "word_projection": 16,
    "image_projection": 16,
    "merged_units": (12,),
    "hidden": 16,
    "length": 10,
}
# Seeds by which the words differ from photograph to photograph and within a caption.
DECODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "masked step": ("step", "merge-lstm", {**SMALL, "seed": 10}),
    "bare prefix": ("prefix", "merge-bilstm", {**SMALL, "seed": 8}),
    "padding read": (
        "prefix",
        "merge-lstm",
        {**SMALL, "seed": 10, "mask": "none", "padded": "start"},
    ),
    "attention": (
        "step",
        "attention-lstm",
        {"seed": 8, "embedding": 16, "units": 12, "attention": 8},
    ),
    "padding half read": ("prefix", "merge-bilstm", {**SMALL, "seed": 8, "mask": "keras3"}),
}
"""Kind, name and options of decoders, by what becomes of padding."""


@dataclass(frozen=True)
class Tiny:
    """A captioner with a decoder of a kind, in all its forms."""

    kind: str
    run: Path
    files: tuple[Path, ...]


@pytest.fixture(scope="module", params=DECODERS)
def tiny(
    request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tiny:
    from edgecap.captioner import TrainedCaptioner
    from edgecap_export import Prover, export

    kind, name, options = DECODERS[request.param]
    folder = tmp_path_factory.mktemp("run")
    run = write_run(folder, name, **options)
    source = TrainedCaptioner.load(run).source()
    prover = Prover(source, sorted(photos.glob("*.jpg")))
    files = tuple(folder / f"tiny.{suffix}" for suffix in ("tflite", "onnx"))
    for file in files:
        export(source, file, prover=prover)
    return Tiny(kind, run, files)


def _said(target: Any, photos: Path, beam: int = 1) -> list[tuple[int, ...]]:
    samples: list[Sample] = [
        target.caption(str(path), beam) for path in sorted(photos.glob("*.jpg"))
    ]
    assert all(1 <= sample.steps <= 7 for sample in samples)
    return [tuple(sample.ids) for sample in samples]


def test_all_targets_say_the_same(tiny: Tiny, photos: Path) -> None:
    run = str(tiny.run)
    keras = KerasStep(run, 1)
    notebooks = [Notebook(run, 1), CompiledNotebook(run, 1)]
    files = [RuntimeFile(str(file), 1) for file in tiny.files]
    for target in (keras, *notebooks, *files):
        # Not `bring_in`: TensorFlow, running here already, takes no other number of threads.
        target.load()
    assert {target.kind for target in (keras, *files)} == {tiny.kind}
    assert {target.kind for target in notebooks} == {"prefix"}
    expected = _said(keras, photos)
    assert len(set(expected)) > 1
    assert max(len(set(ids)) for ids in expected) > 1
    for target in (*notebooks, *files):
        assert _said(target, photos) == expected
    for file in files:
        assert _said(file, photos, beam=3) == _said(keras, photos, beam=3)
    for path in tiny.files:
        assert _bare(path, photos) == expected


def test_the_bare_interpreter_serves_as_a_floor(tiny: Tiny, photos: Path) -> None:
    """As the benchmark drives it: greedy once, then fed the words of its target."""
    photo = str(photos / "photo0.jpg")
    requests: list[dict[str, Any]] = [
        {"do": "start"},
        {"do": "caption", "photo": photo},
        {"do": "caption", "photo": photo, "ids": [4, 5, 6]},
        {"do": "quit"},
    ]
    done = subprocess.run(
        [sys.executable, str(BARE), str(tiny.files[0]), "--serve"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
    )
    started, free, fed = (json.loads(line)["answer"] for line in done.stdout.splitlines())
    assert started["kind"] == tiny.kind
    assert free["steps"] >= 1
    assert (fed["ids"], fed["steps"]) == ([4, 5, 6], 4)


def _bare(file: Path, photos: Path) -> list[tuple[int, ...]]:
    paths = [str(path) for path in sorted(photos.glob("*.jpg"))]
    done = subprocess.run(
        [sys.executable, str(BARE), str(file), *paths, "--rounds", "1", "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(photo["ids"]) for photo in json.loads(done.stdout)["photos"]]
