"""A file tells by itself that it is on a processor where it is wrong.

Eight-bit weights saturate in the 16-bit sums of an x86-64 without VNNI, such as a Haswell.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.emulation.processors import NATIVE, Processor, quickest
from edgecap_export import recipe_named
from edgecap_runtime.bundle import read_manifest

HASWELL = quickest("Haswell")
RECIPE = recipe_named("static-int8").changed(processor="vnni")
"""Full-range int8 weights."""
UNSAFE = (
    "import onnxruntime; "
    "onnxruntime.SessionOptions.add_session_config_entry = lambda self, name, value: None"
)
"""Code that takes from the runtime how it asks for products that don't saturate."""

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(HASWELL.missing() is not None, reason=str(HASWELL.missing())),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest captioner in the box, as .onnx and .tflite, exported here."""
    from edgecap.box import find_run, sample_photos
    from edgecap.captioner import TrainedCaptioner
    from edgecap.exporting import CalibrationPhotos
    from edgecap_export import Prover, export

    source = TrainedCaptioner.load(find_run("nano")).source()
    prover = Prover(source, sample_photos()[4:])
    calibration = CalibrationPhotos.samples(count=128, seed=0).calibration(source)
    folder = tmp_path_factory.mktemp("exported")
    for suffix in ("onnx", "tflite"):
        export(
            source,
            folder / f"nano.{suffix}",
            recipe=RECIPE,
            prover=prover,
            calibration=calibration,
            gate=False,
        )
    return folder


def check(file: Path, processor: Processor, prepare: str = "") -> tuple[int, dict[str, Any], str]:
    """Run `edgecap-runtime check --json` in a process of its own, after the code `prepare`."""
    script = f"import sys\n{prepare}\nfrom edgecap_runtime.cli import main; sys.exit(main())"
    done = subprocess.run(
        processor.python("-c", script, "check", file, "--json"),
        capture_output=True,
        text=True,
        env=processor.environment(),
        timeout=600,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_the_file_passes_where_it_was_exported(exported: Path, suffix: str) -> None:
    status, result, errors = check(exported / f"nano.{suffix}", NATIVE)
    assert (status, result["passed"], errors) == (0, True, "")
    # The same machine, another process: rounding alone, if that.
    assert result["largest"] < 1e-3


def test_it_fails_on_a_processor_that_saturates_opened_carelessly(exported: Path) -> None:
    file = exported / "nano.onnx"
    made_on = read_manifest(file).check
    assert made_on is not None
    if "VNNI" not in made_on.machine.features or "neither" in made_on.machine.features:
        pytest.skip("this machine has no VNNI, so that the file is right where it has none")
    status, result, _ = check(file, HASWELL, UNSAFE)
    assert (status, result["passed"]) == (1, False)
    assert result["largest"] > result["tolerance"]
    wrong = [item for item in result["pictures"] if item["faults"]]
    assert wrong
    assert all("log-probability differs by" in item["faults"][0] for item in wrong)


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_it_passes_there_by_products_that_do_not_saturate(exported: Path, suffix: str) -> None:
    """ONNX Runtime is told to take them; LiteRT has no others."""
    status, result, _ = check(exported / f"nano.{suffix}", HASWELL)
    assert (status, result["passed"]) == (0, True), result["sentence"]
    assert result["careful"] == (suffix == "onnx")
