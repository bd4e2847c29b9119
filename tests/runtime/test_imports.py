"""What importing the runtime drags in, and what that costs; each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FORBIDDEN = ("tensorflow", "keras", "nltk", "torch", "jax", "edgecap", "edgecap_export")
INTERPRETERS = ("ai_edge_litert", "tflite_runtime", "onnxruntime", "onnx")


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def modules_after(script: str, *arguments: str) -> set[str]:
    listing = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(run(script + listing, *arguments).splitlines()[-1])
    return {name.split(".")[0] for name in modules}


def test_importing_needs_no_interpreter() -> None:
    loaded = modules_after("import edgecap_runtime")
    assert {"numpy", "PIL"} <= loaded
    assert not loaded & {*FORBIDDEN, *INTERPRETERS}


def test_captioning_loads_one_interpreter_and_no_tensorflow(captioner_file: Path) -> None:
    script = (
        "import sys, numpy, edgecap_runtime\n"
        "captioner = edgecap_runtime.Captioner.load(sys.argv[1])\n"
        "captioner.caption(numpy.zeros((9, 9, 3), 'uint8'))\n"
        "captioner.caption_batch([numpy.zeros((9, 9, 3), 'uint8')])"
    )
    loaded = modules_after(script, str(captioner_file))
    assert not loaded & set(FORBIDDEN)
    expected = "onnxruntime" if captioner_file.suffix == ".onnx" else "ai_edge_litert"
    assert loaded & set(INTERPRETERS) == {expected}


def test_the_command_needs_no_tensorflow(captioner_file: Path) -> None:
    script = "import sys, edgecap_runtime.cli as cli; cli.main(['show', sys.argv[1]])"
    assert not modules_after(script, str(captioner_file)) & {*FORBIDDEN, *INTERPRETERS}


def test_importing_costs_little_over_numpy_and_pillow() -> None:
    """At most half of what numpy and Pillow cost: a ratio, for machines fast and slow."""
    # This thread's processor time: numpy's other threads and other programs are not the import's.
    timed = (
        "from time import thread_time; a = thread_time(); import numpy, PIL.Image\n"
        "b = thread_time(); import edgecap_runtime; c = thread_time()\n"
        "print((c - b) / (b - a))"
    )
    run(timed)
    assert min(float(run(timed)) for _ in range(7)) <= 0.5
