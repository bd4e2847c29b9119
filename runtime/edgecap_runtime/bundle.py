"""A captioner's file: the model with its manifest inside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .containers import entries_in, read_file, write_entries
from .containers.checksum import missing_checksum
from .errors import BundleError
from .manifest import Manifest, requires_checksum

__all__ = ["ModelFile", "model_in", "read_manifest", "read_model", "write_bundle"]


@dataclass(frozen=True)
class ModelFile:
    """A captioner's file, read once into memory: what is checked is what the interpreter gets."""

    path: str
    """Where it was read, for messages; it is not read again."""
    container: str
    """Kind of model file, "tflite" or "onnx"."""
    content: bytes = field(repr=False)
    """All of its bytes."""
    entries: Mapping[str, bytes] = field(repr=False)
    """Its entries, such as `edgecap.json`, unpacked."""
    checksummed: bool
    """Whether it ends with a checksum, which is right; False for whole files before version 1.4."""

    @cached_property
    def manifest(self) -> Manifest:
        """What the file says of itself; raises `BundleError` where it contradicts itself."""
        try:
            return Manifest.from_entries(self.entries)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from None


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a captioner's file into memory, verify its checksum and unpack its entries.

    Raises `BundleError` for a file that is no captioner, is damaged or truncated, or exceeds a
    limit of `edgecap_runtime.limits`. No interpreter is needed.
    """
    return model_in(os.fspath(path), read_file(path))


def model_in(name: str, content: bytes) -> ModelFile:
    """Do what `read_model` does with a file's bytes; name: its name, for messages."""
    kind, entries, checksummed = entries_in(name, content)
    try:
        missing = not checksummed and requires_checksum(entries)
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from None
    if missing:
        raise missing_checksum(name)
    return ModelFile(name, kind, content, entries, checksummed)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read what a captioner's file says of itself, without opening an interpreter.

    Raises `BundleError` for a file that is no captioner, is damaged or truncated, contradicts
    itself or has a newer major version.
    """
    return read_model(path).manifest


def write_bundle(
    model_file: str | os.PathLike[str], manifest: Manifest, out_path: str | os.PathLike[str]
) -> None:
    """Write a .tflite or .onnx model with its manifest and a checksum to `out_path`.

    `out_path` may be `model_file`; it appears complete or not at all. Raises `BundleError` if
    the model is of no known kind or damaged, or the manifest exceeds a limit; `EdgecapError` if
    writing fails.
    """
    entries = manifest.to_entries()
    # What could not be read is not written.
    _ = Manifest.from_entries(entries).check
    write_entries(model_file, entries, out_path)
