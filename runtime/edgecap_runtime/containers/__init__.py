"""Where a captioner's entries live inside a model file, by kind of model file.

A container is added by one module with what `Container` lists, and one line here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ..atomic import replacing
from ..errors import BundleError
from ..limits import ENTRY_BYTES, FILE_BYTES
from .checksum import has_checksum, missing_checksum, sealed

__all__ = ["Container", "container_of", "entries_in", "read_entries", "read_file", "write_entries"]

_CONTAINERS = {
    "tflite": "edgecap_runtime.containers.flatbuffer_zip",
    "onnx": "edgecap_runtime.containers.onnx_metadata",
}
_HEAD = 64


class Container(Protocol):
    """What a module in this package provides."""

    CHECKSUM_BEFORE: bytes
    """What stands between the model and the checksum's digits, the file's last bytes."""
    CHECKSUM_KEY: bytes
    """The part of it that occurs nowhere else."""

    def recognises(self, head: bytes) -> bool:
        """Return whether a file's first bytes are those of a model of this kind."""

    def read(self, name: str, content: bytes) -> dict[str, bytes]:
        """Read all entries; raises `BundleError`, naming the file, where they can't be."""

    def append(self, model: bytes, entries: Mapping[str, bytes]) -> bytearray:
        """Return the model file with these entries and no others of edgecap, and `NO_DIGITS`."""


def container_of(path: str | os.PathLike[str]) -> str:
    """Return the kind of model file ("tflite", "onnx") by its content; raises `BundleError`."""
    return _kind(os.fspath(path), read_file(path, _HEAD))


def read_file(path: str | os.PathLike[str], count: int = -1) -> bytes:
    """Read a file, or so many of its first bytes, into memory.

    Raises `BundleError` where that can't be done, and for a file beyond `FILE_BYTES`. Whoever holds
    the bytes isn't disturbed when the file is overwritten, as a mapping would be.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            raise BundleError(f"{name} is a folder; give a .tflite or .onnx file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{name} is a pipe or a device; give a .tflite or .onnx file.")
        if status.st_size > FILE_BYTES:
            raise _too_large(name, status.st_size)
        # Unbuffered: one allocation of the file's size, and one copy.
        with Path(name).open("rb", buffering=0) as stream:
            content = stream.read(count)
    except FileNotFoundError:
        raise BundleError(f"Unable to find {name}; check the path.") from None
    except MemoryError:
        raise BundleError(
            f"{name} does not fit into this machine's memory ({status.st_size} bytes); export a "
            "smaller captioner."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(
            f"Unable to read {name} ({reason}); check the path and its permissions."
        ) from None
    if len(content) > FILE_BYTES:
        raise _too_large(name, len(content))
    return content


def entries_in(name: str, content: bytes) -> tuple[str, dict[str, bytes], bool]:
    """Return a captioner's file's kind and entries, and whether it has a checksum.

    name: the file's name, for messages. The checksum is verified before anything else is read.
    Raises `BundleError`, naming the file, for a wrong checksum, traces of one, and a file without
    whole entries within the limits.
    """
    kind = _kind(name, content)
    module = _module(kind)
    checksummed = has_checksum(name, content, module.CHECKSUM_BEFORE, module.CHECKSUM_KEY)
    entries = module.read(name, content)
    # In an .onnx file the checksum is a metadata record among the others.
    if entries.pop(module.CHECKSUM_KEY.decode(), None) is not None and not checksummed:
        raise missing_checksum(name)
    return kind, entries, checksummed


def read_entries(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """Read the entries in a captioner's file; raises `BundleError` where it is none."""
    return entries_in(os.fspath(path), read_file(path))[1]


def write_entries(
    model_file: str | os.PathLike[str],
    entries: Mapping[str, bytes],
    out_path: str | os.PathLike[str],
) -> None:
    """Write a model file with entries and a checksum to `out_path`, complete or not at all.

    Entries of edgecap that the model file has are replaced. Raises `BundleError` if the model is
    of no known kind, damaged, or an entry larger than any that is read; `EdgecapError` if writing
    fails.
    """
    name = os.fspath(model_file)
    for entry, text in entries.items():
        if len(text) > ENTRY_BYTES:
            raise BundleError(
                f"The entry {entry} has {len(text)} bytes, and {ENTRY_BYTES} are the most that are "
                "read; make the captioner's vocabulary or record smaller."
            )
    model = read_file(name)
    module = _module(_kind(name, model))
    # A damaged file must not get a checksum that says that it is whole.
    has_checksum(name, model, module.CHECKSUM_BEFORE, module.CHECKSUM_KEY)
    whole = sealed(module.append(model, entries))
    with replacing(out_path) as out:
        out.write(whole)


def _kind(name: str, content: bytes) -> str:
    if not content:
        raise BundleError(f"{name} is empty (0 bytes); copy or export the captioner again.")
    for kind in _CONTAINERS:
        if _module(kind).recognises(content[:_HEAD]):
            return kind
    raise BundleError(
        f"{name} is neither a .tflite nor an .onnx model; give a file that edgecap export wrote."
    )


def _too_large(name: str, size: int) -> BundleError:
    return BundleError(
        f"{name} has {size} bytes, and {FILE_BYTES} are the most that are read; give a file that "
        "edgecap export wrote."
    )


def _module(kind: str) -> Container:
    return cast(Container, import_module(_CONTAINERS[kind]))
