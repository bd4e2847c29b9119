"""None of the demo's targets is refused on an x86-64 processor with AVX2 and without VNNI."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecap.targets import TARGETS
from edgecap_bench.emulation.systems import FOLDER
from edgecap_export import recipe_named

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="runs this machine's own Python"),
]

QEMU = "qemu-x86_64-static"
DEMO = FOLDER / "captioners" / "demo"
ROOT = Path(__file__).parents[2]


def force(file: Path, out: Path, *before: str) -> tuple[np.ndarray, np.ndarray]:
    """Make a file say Keras' words in a process of its own; see `forced`."""
    packages = [ROOT / "runtime", *(path for path in sys.path if path.endswith("-packages"))]
    done = subprocess.run(
        [*before, sys.executable, str(Path(__file__).with_name("forced.py")),
         str(file), str(DEMO / "keras.npz"), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(out) as saved:
        return saved["logits"], saved["same"]


@pytest.mark.parametrize("cpu", ["native", "Haswell"])
@pytest.mark.parametrize(("suffix", "recipe"), TARGETS)
def test_no_target_is_below_its_gate(cpu: str, suffix: str, recipe: str, tmp_path: Path) -> None:
    if cpu != "native" and shutil.which(QEMU) is None:
        pytest.skip("needs qemu-user-static (apt-get install)")
    file = DEMO / f"captioner-{recipe}.{suffix}"
    assert file.exists(), "refused on this machine already"
    before = () if cpu == "native" else (QEMU, "-cpu", cpu)
    logits, same = force(file, tmp_path / "said.npz", *before)
    with np.load(DEMO / "keras.npz") as saved:
        words, expected = saved["words"], saved["log_probabilities"]
    # After the start and after each word of a caption; behind its end there is nothing.
    said = np.concatenate([np.ones((len(words), 1), bool), words >= 0], axis=1)
    found = logits[said].astype(np.float64)
    found -= np.log(np.exp(found - found.max(1, keepdims=True)).sum(1, keepdims=True))
    found -= logits[said].max(1, keepdims=True)
    gate = recipe_named(recipe).gate
    assert np.quantile(np.abs(found - expected[said]), gate.quantile) <= gate.log_probability
    assert same.all()
