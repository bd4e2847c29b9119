"""Builds and runs the samples, and reads what they say."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
C = ROOT / "runtime" / "embedding" / "c"
JS = ROOT / "runtime" / "embedding" / "js"
STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

compiler = shutil.which("cc") or shutil.which("gcc")


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs {name}")
    return Path(spec.origin).parent


def build(target: Path, source: str, *options: str | Path) -> Path:
    assert compiler is not None
    files = [C / source, C / "captioning.c"]
    command = [compiler, *STRICT, *files, *options, "-o", target]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def answer(command, pixels: bytes) -> list[str]:
    done = subprocess.run([str(word) for word in command], input=pixels, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8").splitlines()


def refusal(command, pixels: bytes) -> str:
    """The last line that a program says of what it can't use."""
    done = subprocess.run([str(word) for word in command], input=pixels, capture_output=True)
    assert done.returncode == 2, done.stdout
    return done.stderr.decode("utf-8").splitlines()[-1]


def from_c(command, pixels: bytes):
    found = []
    for line in answer(command, pixels):
        ids, _, words = line.partition("\t")
        found.append((tuple(map(int, ids.split())), tuple(words.split(" ")) if words else ()))
    return found


def from_node(command, pixels: bytes):
    captions = [json.loads(line) for line in answer(command, pixels)]
    return [(tuple(one["ids"]), tuple(one["words"])) for one in captions]
