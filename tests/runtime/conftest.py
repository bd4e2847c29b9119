"""Tiny captioners of each kind, made once per session."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

# The tests share `tiny`; with pytest's importlib mode a folder of tests isn't importable by itself.
sys.path.insert(0, str(Path(__file__).parent))

import tiny

from edgecap_runtime.bundle import write_bundle


@pytest.fixture(scope="session")
def tiny_model() -> tiny.TinyModel:
    return tiny.TinyModel.random()


@pytest.fixture(scope="session")
def plain_onnx(tmp_path_factory: pytest.TempPathFactory, tiny_model: tiny.TinyModel) -> Path:
    path = tmp_path_factory.mktemp("plain-onnx") / "plain.onnx"
    tiny.write_onnx(tiny_model, path)
    return path


@pytest.fixture(scope="session")
def plain_tflite(tmp_path_factory: pytest.TempPathFactory, tiny_model: tiny.TinyModel) -> Path:
    path = tmp_path_factory.mktemp("plain-tflite") / "plain.tflite"
    tiny.write_tflite(tiny_model, path)
    return path


@pytest.fixture(scope="session")
def onnx_file(plain_onnx: Path) -> Path:
    path = plain_onnx.with_name("captioner.onnx")
    write_bundle(plain_onnx, tiny.tiny_manifest(), path)
    return path


@pytest.fixture(scope="session")
def tflite_file(plain_tflite: Path) -> Path:
    path = plain_tflite.with_name("captioner.tflite")
    write_bundle(plain_tflite, tiny.tiny_manifest(), path)
    return path


@pytest.fixture(scope="session")
def tflite_encode_first(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: tiny.TinyModel
) -> Path:
    folder = tmp_path_factory.mktemp("encode-first")
    tiny.write_tflite(tiny_model, folder / "plain.tflite", first="encode")
    path = folder / "captioner.tflite"
    write_bundle(folder / "plain.tflite", tiny.tiny_manifest(), path)
    return path


@pytest.fixture(scope="session", params=["onnx", "tflite", "tflite-encode-first"])
def captioner_file(request: pytest.FixtureRequest) -> Path:
    fixture = {
        "onnx": "onnx_file",
        "tflite": "tflite_file",
        "tflite-encode-first": "tflite_encode_first",
    }[request.param]
    path: Path = request.getfixturevalue(fixture)
    return path


def _write_prefix_onnx(path: Path, model: tiny.TinyModel, length: int | None) -> None:
    tiny.write_onnx(model, path, ("rows", length or "words"))


def _write_prefix_tflite(path: Path, model: tiny.TinyModel, length: int | None) -> None:
    tiny.write_tflite(model, path, first="prefix", ids=(None, length))


def _write_prefix_tflite_behind(path: Path, model: tiny.TinyModel, length: int | None) -> None:
    tiny.write_tflite(model, path, first="encode", ids=(None, length))


PREFIX_FILES = {
    "onnx": _write_prefix_onnx,
    "tflite": _write_prefix_tflite,
    "tflite-encode-first": _write_prefix_tflite_behind,
}


@pytest.fixture(
    scope="session",
    params=[(kind, prefix) for prefix in tiny.PREFIXES for kind in PREFIX_FILES],
    ids=" ".join,
)
def prefix_file(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: tiny.TinyModel,
) -> Path:
    """A captioner that reads whole prefixes, bare ones or of a fixed length."""
    kind, name = request.param
    path = tmp_path_factory.mktemp("prefix") / f"captioner.{kind.partition('-')[0]}"
    prefix = tiny.PREFIXES[name]
    PREFIX_FILES[kind](path, tiny_model, prefix.length)
    write_bundle(path, tiny.tiny_manifest(kind="prefix", prefix=prefix), path)
    return path


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A smooth picture, uint8 [60, 80, 3], whose corners differ in colour."""
    down, right = np.mgrid[0:60, 0:80].astype(np.float32)
    return np.stack([down * 4, right * 3, 255 - down * 2 - right], axis=-1).astype(np.uint8)
