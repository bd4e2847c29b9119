"""Files in tflite-runtime 2.14, the last one: right answers or a refusal, never wrong answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecap.box import find_run, sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap_export import Prover, Recipe, choose_calibration, export, recipe_named, recipe_names
from edgecap_export.progress import silent

from .conftest import photographs

ROOT = Path(__file__).parents[2]
RUNS = ("float32", "float16", "compat")
"""Recipes that the old interpreter runs; it knows no product in int8 with a scale a channel."""
GATE = recipe_named("small").gate

SCRIPT = """
import json, sys
import numpy as np
from edgecap_runtime import Captioner
from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import BundleError
from edgecap_runtime.preparation import prepare

path, *photos = sys.argv[1:]
manifest = read_manifest(path)
try:
    captioner = Captioner.load(path, threads=1)
except BundleError as problem:
    print(json.dumps({"refused": str(problem)}))
    sys.exit()
backend = open_backend(path, manifest, threads=1)
states = [backend.encode(prepare(photo, manifest.preparation)) for photo in photos]
names = [item.name for item in manifest.state]
logits = []
# The number of rows goes up and down, as that of a beam does.
for place, rows in enumerate((1, 3, 2, 5, 1)):
    random = np.random.default_rng(place)
    state = {name: np.repeat(values, rows, axis=0) for name, values in states[0].items()}
    for item in manifest.state:
        state[item.name] = random.normal(0, 0.5, (rows, *item.shape)).astype(np.float32)
    for _ in range(2):
        ids = random.integers(4, len(manifest.vocabulary), rows).astype(np.int32)
        answer, state = backend.step(ids, state)
        logits.append(answer.tolist())
print(json.dumps({
    "interpreters": [name for name in ("ai_edge_litert", "tflite_runtime") if name in sys.modules],
    "greedy": [captioner.caption(photo, beam=1).text for photo in photos],
    "beam": [captioner.caption(photo, beam=3).text for photo in photos],
    "states": [
        np.concatenate([state[name][0].ravel() for name in names]).tolist() for state in states
    ],
    "logits": logits,
}))
"""


@pytest.fixture(scope="session")
def old_python() -> str:
    """A Python with tflite-runtime 2.14, NumPy 1 and Pillow."""
    named = os.environ.get("EDGECAP_COMPAT_PYTHON")
    if named:
        return named
    made = ROOT / ".venv-compat" / "bin" / "python"
    if not made.exists():
        pytest.skip(
            "tflite-runtime 2.14 is not at hand: `make compat` gets it, or the environment "
            "variable EDGECAP_COMPAT_PYTHON names a Python that has it"
        )
    return str(made)


def answers(python: str, path: Path, photos: list[Path]) -> dict[str, Any]:
    """What a file says in an interpreter, by the runtime alone."""
    done = subprocess.run(
        [python, "-c", SCRIPT, str(path), *map(str, photos)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "runtime")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{place}.png" for place in range(10)]
    for path, pixels in zip(paths, photographs(10, seed=5), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def largest(one: list[Any], other: list[Any]) -> float:
    pairs = zip(one, other, strict=True)
    return max(float(np.abs(np.subtract(*pair)).max()) for pair in pairs)


def wrong(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Root of the mean square by which first states differ."""
    return float(np.sqrt(np.square(np.subtract(found["states"], expected["states"])).mean()))


@pytest.mark.parametrize("kind", ["step", "bidirectional", "padded"])
@pytest.mark.parametrize("recipe", RUNS)
def test_it_answers_as_litert_does(old_python, written, photos, kind, recipe):
    path = written(kind, recipe).path
    old, new = (answers(python, path, photos) for python in (old_python, sys.executable))
    assert (old["interpreters"], new["interpreters"]) == (["tflite_runtime"], ["ai_edge_litert"])
    floats = recipe != "compat"
    # Activations that are quantized as they come round otherwise here and there.
    assert largest(old["logits"], new["logits"]) < (1e-3 if floats else 0.2)
    assert max(np.abs(logits).max() for logits in old["logits"]) > 1
    if floats:
        assert (old["greedy"], old["beam"]) == (new["greedy"], new["beam"])
        assert wrong(old, new) < 1e-4


@pytest.mark.parametrize("recipe", [name for name in recipe_names() if name not in RUNS])
def test_it_refuses_the_others(old_python, written, photos, recipe):
    refused = answers(old_python, written("step", recipe).path, photos[:1])["refused"]
    assert "does not load in the interpreter" in refused
    assert "version '12'" in refused
    assert "tflite-runtime runs the recipes compat, float16 and float32" in refused


@pytest.mark.parametrize(
    "treated",
    [
        {"encoder": "static-int8", "step": "static-int8"},
        {"encoder": "static-int4", "embedding": "int4-rows"},
        {"encoder": "static-int16x8", "embedding": "int8-rows"},
        {"encoder": "dynamic-int8", "embedding": "float16"},
    ],
    ids=lambda treated: " ".join(treated.values()),
)
def test_treatments_that_it_runs_are_as_near_to_keras_there(old_python, written, photos, treated):
    recipe = Recipe("old " + " ".join(treated.values()), "", GATE, **treated)
    path = written("step", recipe).path
    exact = answers(sys.executable, written("step", "float32").path, photos)
    old, new = (answers(python, path, photos) for python in (old_python, sys.executable))
    # Kernels round each in their way; this encoder makes much of it, to either side.
    assert wrong(old, exact) < 2 * wrong(new, exact) + 1e-4
    assert largest(old["logits"], new["logits"]) < 0.05


@pytest.mark.parametrize("captioner", ["mobilenet-lstm", "mobilenet-attention"])
def test_a_captioner_in_the_box_says_the_same_words(old_python, tmp_path, captioner):
    source = TrainedCaptioner.load(find_run(captioner)).source()
    samples = sample_photos()
    prover = Prover(source, samples)
    calibration = choose_calibration(samples, source.preparation, silent, count=len(samples))
    paths = {name: tmp_path / f"{name}.tflite" for name in ("float32", "compat")}
    for name, path in paths.items():
        export(source, path, recipe=name, prover=prover, calibration=calibration, gate=False)
    exact = answers(sys.executable, paths["float32"], samples)
    old, new = (
        answers(python, paths["compat"], samples) for python in (old_python, sys.executable)
    )
    for search in ("greedy", "beam"):
        same = sum(one == other for one, other in zip(old[search], new[search], strict=True))
        assert same >= 12
        assert len(set(old[search])) > 10
    assert wrong(old, exact) < 1.2 * wrong(new, exact)
    assert largest(old["logits"], new["logits"]) < 0.1
