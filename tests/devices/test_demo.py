"""None of the demo's targets is refused on an x86-64 processor with AVX2 and without VNNI."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecap.targets import TARGETS
from edgecap_bench.emulation.processors import NATIVE, Processor, quickest
from edgecap_bench.emulation.systems import FOLDER
from edgecap_export import recipe_named

pytestmark = pytest.mark.emulated

DEMO = FOLDER / "captioners" / "demo"
FORCED = Path(__file__).with_name("forced.py")


def force(processor: Processor, file: Path, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Make a file say Keras' words in a process of its own; see `forced`."""
    done = subprocess.run(
        processor.python(FORCED, file, DEMO / "keras.npz", out),
        env=processor.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(out) as saved:
        return saved["logits"], saved["same"]


@pytest.mark.parametrize("processor", [NATIVE, quickest("Haswell")], ids=["native", "haswell"])
@pytest.mark.parametrize(("suffix", "recipe"), TARGETS)
def test_no_target_is_below_its_gate(
    processor: Processor, suffix: str, recipe: str, tmp_path: Path
) -> None:
    if reason := processor.missing():
        pytest.skip(reason)
    file = DEMO / f"captioner-{recipe}.{suffix}"
    assert file.exists(), "refused on this machine already"
    logits, same = force(processor, file, tmp_path / "said.npz")
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
