from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

BARE = Path(__file__).parents[2] / "bench" / "bare.py"
ALLOWED = {"numpy", "PIL", "ai_edge_litert", "onnxruntime"}


def test_imports_nothing_but_the_interpreters_numpy_and_pillow() -> None:
    tree = ast.parse(BARE.read_text("utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call):
            # Nothing comes in by a back door either.
            assert getattr(node.func, "id", getattr(node.func, "attr", "")) not in (
                "__import__",
                "import_module",
                "exec",
                "eval",
            )
    assert roots >= ALLOWED
    assert roots - ALLOWED <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_says_what_the_captioner_says(ending: str, whole_run: Path, photos: Path) -> None:
    from edgecap_runtime import Captioner

    file = whole_run / f"tiny-float32.{ending}"
    paths = sorted(photos.glob("*.jpg"))
    done = subprocess.run(
        [sys.executable, str(BARE), str(file), *map(str, paths), "--rounds", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    assert all(bare["one_call_ms"] is None for bare in report["photos"])
    with Captioner.load(file, threads=1) as captioner:
        captions = [captioner.caption(path, beam=1) for path in paths]
    assert len({caption.ids for caption in captions}) > 1
    for caption, bare in zip(captions, report["photos"], strict=True):
        assert bare["ids"] == list(caption.ids)
        assert bare["words"] == list(caption.words)
        assert bare["steps"] == caption.timings.steps
        for part in ("prepare_ms", "encode_ms", "words_ms", "caption_ms", "inside_ms"):
            assert bare[part] > 0
    assert report["peak_mb"] > 10


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_one_call_says_what_steps_say(ending: str, run: Path, photos: Path, tmp_path: Path) -> None:
    from edgecap.captioner import TrainedCaptioner
    from edgecap_export import export

    file = tmp_path / f"one-call.{ending}"
    paths = sorted(photos.glob("*.jpg"))
    source = TrainedCaptioner.load(run).source()
    export(source, file, recipe="float32", images=paths, gate=False, one_call=True)
    done = subprocess.run(
        [sys.executable, str(BARE), str(file), *map(str, paths), "--rounds", "2"],
        capture_output=True,
        text=True,
        check=True,  # it fails where the one call says other words than the steps
    )
    for bare in json.loads(done.stdout)["photos"]:
        assert bare["one_call_ms"] > 0
