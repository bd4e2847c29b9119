"""A captioner's file: the model with its manifest inside."""

from __future__ import annotations

import os

from .containers import read_entries, write_entries
from .errors import BundleError
from .manifest import Manifest

__all__ = ["read_manifest", "write_bundle"]


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read what a captioner's file says of itself, without opening an interpreter.

    Raises `BundleError` for a file that is no captioner, is truncated, contradicts itself or has
    a newer major version.
    """
    entries = read_entries(path)
    try:
        return Manifest.from_entries(entries)
    except BundleError as error:
        raise BundleError(f"{os.fspath(path)}: {error}") from None


def write_bundle(
    model_file: str | os.PathLike[str], manifest: Manifest, out_path: str | os.PathLike[str]
) -> None:
    """Write a .tflite or .onnx model with its manifest inside to `out_path`.

    `out_path` may be `model_file`; it appears complete or not at all. Raises `BundleError` if
    the model is of no known kind, `EdgecapError` if writing fails.
    """
    write_entries(model_file, manifest.to_entries(), out_path)
