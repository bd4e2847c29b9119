"""Where a captioner's entries live inside a model file, by kind of model file.

A container is added by one module with `recognises`, `read` and `append`, and one line here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Protocol, cast

from ..atomic import replacing
from ..errors import BundleError

__all__ = ["Container", "container_of", "read_entries", "write_entries"]

_CONTAINERS = {
    "tflite": "edgecap_runtime.containers.flatbuffer_zip",
    "onnx": "edgecap_runtime.containers.onnx_metadata",
}
_HEAD = 64


class Container(Protocol):
    """What a module in this package provides."""

    def recognises(self, head: bytes) -> bool:
        """Tell from a file's first bytes whether it is a model of this kind."""

    def read(self, name: str, stream: IO[bytes], size: int) -> dict[str, bytes]:
        """Read all entries; raises `BundleError`, naming the file, where they can't be."""

    def append(self, model: bytes, entries: Mapping[str, bytes]) -> bytes:
        """Give the model file with these entries; entries that it had before are dropped."""


def container_of(path: str | os.PathLike[str]) -> str:
    """Give the kind of model file ("tflite", "onnx") by its content; raises `BundleError`."""
    name = os.fspath(path)
    with _open(name) as stream:
        return _kind(name, stream.read(_HEAD))


def read_entries(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """Read the entries in a captioner's file; raises `BundleError` where it is none."""
    name = os.fspath(path)
    with _open(name) as stream:
        kind = _kind(name, stream.read(_HEAD))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        return _module(kind).read(name, stream, size)


def write_entries(
    model_file: str | os.PathLike[str],
    entries: Mapping[str, bytes],
    out_path: str | os.PathLike[str],
) -> None:
    """Write a model file with entries to `out_path`, which appears complete or not at all.

    Raises `BundleError` if the model is of no known kind, `EdgecapError` if writing fails.
    """
    name = os.fspath(model_file)
    with _open(name) as stream:
        model = stream.read()
    whole = _module(_kind(name, model[:_HEAD])).append(model, entries)
    with replacing(out_path) as out:
        out.write(whole)


def _open(name: str) -> IO[bytes]:
    try:
        return Path(name).open("rb")
    except FileNotFoundError:
        raise BundleError(f"Unable to find {name}; check the path.") from None
    except IsADirectoryError:
        raise BundleError(f"{name} is a folder; give a .tflite or .onnx file in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(
            f"Unable to read {name} ({reason}); check the path and its permissions."
        ) from None


def _kind(name: str, head: bytes) -> str:
    if not head:
        raise BundleError(f"{name} is empty (0 bytes); copy or export the captioner again.")
    for kind in _CONTAINERS:
        if _module(kind).recognises(head):
            return kind
    raise BundleError(
        f"{name} is neither a .tflite nor an .onnx model; give a file that edgecap export wrote."
    )


def _module(kind: str) -> Container:
    return cast(Container, import_module(_CONTAINERS[kind]))
