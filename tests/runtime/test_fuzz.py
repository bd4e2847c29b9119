"""A short run of the project's fuzzer: mutated files are refused, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz" / "fuzz.py"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")


def fuzz(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, str(FUZZ), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["files"]


def test_every_mutation_is_refused(onnx_file: Path, tflite_file: Path) -> None:
    status, files = fuzz(onnx_file, tflite_file, "--mutations", 150, "--seed", 11)
    assert [item["outcomes"]["refused"] for item in files] == [150, 150], files
    assert status == 0


def test_the_fuzzer_sees_what_gets_past_the_checksum(onnx_file: Path) -> None:
    status, [file] = fuzz(onnx_file, "--mutations", 60, "--seed", 3, "--checksummed-anew")
    outcomes = file["outcomes"]
    assert sum(outcomes.values()) == 60
    # Weights are most of the file, so some say other words, or the same with another score.
    assert outcomes["other words or score"] > 0
    assert outcomes["traceback"] == 0, file
    assert status == 0
