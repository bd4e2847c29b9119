"""A captioner small enough to export within seconds, and workers that only pretend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecap_bench.targets import Plan

from ..conftest import Once

LATENCY = Path(__file__).parents[2] / "bench" / "latency.py"

# Speaks as a worker does. What it is to do wrong, and when, is its first argument.
_FAKE = """
import json, os, signal, sys, time
fault, captions = sys.argv[1], 0
for line in sys.stdin:
    request = json.loads(line)
    answer = {}
    if request["do"] == "start":
        answer = {"import_ms": 1.0, "load_ms": 2.0, "kind": "step"}
    elif request["do"] == "memory":
        answer = {"peak_mb": 40.0}
    elif request["do"] == "saturate":
        answer = {"seconds": 0.5, "how": "at once"}
    elif request["do"] == "caption":
        captions += 1
        if fault == "kill" and captions == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "exit" and captions == 5:
            sys.exit("Traceback:\\nMemoryError: out of memory")
        if fault == "hang" and captions == 5:
            time.sleep(60)
        if fault == "refuse":
            print(json.dumps({"error": "no such photograph"}), flush=True)
            continue
        beam = request.get("beam", 1)
        ids = request.get("ids") or [4, 5]
        with open(sys.argv[2], "a") as log:
            log.write(json.dumps(request) + "\\n")
        answer = {"prepare_ms": 1.0, "encode_ms": 2.0, "words_ms": 3.0 * beam,
                  "caption_ms": 3.5 + 3.0 * beam, "cpu_ms": 9.0, "steps": 3, "ids": ids,
                  "words": ["a", "dog"]}
    print(json.dumps({"answer": answer}), flush=True)
"""


@pytest.fixture
def fake_plan(tmp_path: Path) -> Callable[..., Plan]:
    """Make plans of workers that answer at once, with a fault: kill, exit, hang, refuse, none."""

    def make(label: str, fault: str = "none", **changes: Any) -> Plan:
        log = tmp_path / f"{label}.requests"
        return Plan(label, (), command=(sys.executable, "-c", _FAKE, fault, str(log)), **changes)

    return make


@pytest.fixture
def requests_of(tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Read the captions that a fake worker was asked for."""

    def read(label: str) -> list[dict[str, Any]]:
        lines = (tmp_path / f"{label}.requests").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return read


@pytest.fixture(scope="session")
def photos(once: Once) -> Path:
    """A folder of three JPEGs of 500 x 375 that look different."""
    return once("bench photos", write_photos)


def write_photos(folder: Path) -> Path:
    """Write the photographs of `photos`; returns their folder."""
    rng = np.random.default_rng(5)
    for place in range(3):
        low = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        low.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"photo{place}.jpg")
    return folder


def write_run(folder: Path, decoder: str, seed: int = 7, **options: Any) -> Path:
    """Write a captioner in Keras form: MobileNet 0.25 at 64 pixels, random weights, 40 words."""
    import keras

    from edgecap.captioner import Design, TrainedCaptioner
    from edgecap.decoders import DECODERS
    from edgecap.encoders import ENCODERS, EncoderOptions
    from edgecap_runtime.decoding import DecodingOptions
    from edgecap_runtime.preparation import Preparation
    from edgecap_runtime.vocabulary import Vocabulary

    words = ("<pad>", "<start>", "<end>", "<unk>", *(f"word{place}" for place in range(36)))
    design = Design(
        name="tiny",
        encoder="mobilenet",
        encoder_options=EncoderOptions(64, 0.25, DECODERS[decoder].pooling),
        decoder=decoder,
        decoder_options=DECODERS[decoder].options(**options),
        vocabulary=Vocabulary(
            words, start_id=1, end_id=2, padding_id=0, unknown_id=3, never_said=(0, 1, 3)
        ),
        preparation=Preparation(64, 64, scaling=ENCODERS["mobilenet"].scaling()),
        defaults=DecodingOptions(max_words=7),
        provenance={"licence": "none, random weights"},
    )
    keras.utils.set_random_seed(seed)
    captioner = TrainedCaptioner.new(design, None)
    rng = np.random.default_rng(seed)
    # Kernels as Keras draws them let the picture fade away; five times that, and photographs and
    # words make a difference.
    captioner.encoder.set_weights(
        [value * 5 if value.ndim == 4 else value for value in captioner.encoder.get_weights()]
    )
    # Matrices alone: a normalisation's variance, say, must not become negative.
    captioner.decoder.set_weights(
        [
            rng.normal(0, 0.5, value.shape) if value.ndim == 2 else value
            for value in captioner.decoder.get_weights()
        ]
    )
    captioner.save(folder)
    return folder


@pytest.fixture(scope="session")
def run(once: Once) -> Path:
    """A captioner whose decoder steps."""
    return once(
        "bench run", lambda folder: write_run(folder / "run", "lstm", embedding=16, units=24)
    )


@pytest.fixture(scope="session")
def whole_run(once: Once, run: Path, photos: Path) -> Path:
    """The report folder of `bench/latency.py` on the tiny captioner, with a dataset to score."""
    return once("bench report", lambda folder: write_report(folder, run, photos))


def write_report(folder: Path, run: Path, photos: Path) -> Path:
    """Write the report of `whole_run`; returns its folder."""
    out, data = folder / "report", folder / "data"
    data.mkdir()
    lines = ["image,caption,split"]
    for place in range(3):
        split = "train" if place == 0 else "dev"
        lines.append(f"photo{place}.jpg,word1 word2 word3 word4,{split}")
    (data / "captions.csv").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [
            *(sys.executable, str(LATENCY), str(run), "--photos", str(photos), "-o", str(out)),
            *("--targets", "keras,tflite:float32,onnx:float32", "--beam", "1,2", "--rounds", "2"),
            # Quick: two cold starts of each target and not five, which for Keras take 5 s each.
            *("--threads", "1,2", "--quick", "--import-repeats", "1"),
            *("--data", str(data), "--images", str(photos), "--split", "dev"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (out / "stdout.txt").write_text(done.stdout)
    (out / "stderr.txt").write_text(done.stderr)
    return out
