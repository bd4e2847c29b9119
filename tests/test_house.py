"""The rules of the house that a reader can't see at a glance."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "edgecap_runtime": ROOT / "runtime" / "edgecap_runtime",
    "edgecap_export": ROOT / "export" / "edgecap_export",
    "edgecap": ROOT / "edgecap",
    "edgecap_bench": ROOT / "bench" / "edgecap_bench",
}
"""Lowest first: a package may import itself and those before it."""

TENSORFLOW = {"tensorflow", "tf_keras", "tf2onnx"}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, at whatever depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names


def sources(package: str) -> list[Path]:
    found = sorted(PACKAGES[package].rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    order = list(PACKAGES)
    above = set(order[order.index(package) + 1 :])
    for path in sources(package):
        assert not imported(path) & above, path


def test_the_runtime_imports_numpy_pillow_and_its_interpreters_alone() -> None:
    allowed = {"numpy", "PIL", "edgecap_runtime"}
    interpreters = {"ai_edge_litert", "tflite_runtime", "onnxruntime"}
    for path in sources("edgecap_runtime"):
        others = imported(path) - set(sys.stdlib_module_names) - allowed
        assert others <= (interpreters if path.parent.name == "backends" else set()), path


def test_models_and_training_are_pure_keras() -> None:
    """Any Keras backend can train: TensorFlow is export's, and one reader's of Keras 2's files."""
    keras2 = Path("importing/containers/tensorflow_keras.py")
    for path in sources("edgecap"):
        if not path.match(str(keras2)):
            assert not imported(path) & TENSORFLOW, path


def test_the_bare_script_imports_nothing_of_edgecap() -> None:
    assert not imported(ROOT / "bench" / "bare.py") & set(PACKAGES)


def test_no_package_is_called_export_or_runtime() -> None:
    assert not (ROOT / "export" / "__init__.py").exists()
    assert not (ROOT / "runtime" / "__init__.py").exists()


def test_listing_commands_needs_neither_keras_nor_tensorflow() -> None:
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom edgecap.cli import main\n"
        "for words in (['--help'], ['models', '--json'], ['export', '--help']):\n"
        "    assert CliRunner().invoke(main, words).exit_code == 0\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    loaded = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert "click" in loaded
    assert not loaded & {"keras", "tensorflow", "onnxruntime", "ai_edge_litert"}
