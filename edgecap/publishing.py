"""A run made small: float16 weights, no checkpoint, no path of the machine that trained it."""

from __future__ import annotations

import dataclasses
import io
import shlex
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgecap.captioner import read_design, write_design
from edgecap.files import make_folder
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError


def publish_run(
    run: Path, out: Path, *, licence: str, card: Path | None = None, name: str | None = None
) -> int:
    """Write the small copy of `run` to `out`.

    Args:
        run: a folder that `edgecap train` wrote.
        out: folder of the copy.
        licence: licence of the weights and terms of the data.
        card: a Markdown file that is copied to `out/README.md`.
        name: another name for the captioner.

    Returns:
        Bytes written.

    Raises:
        OptionError: `out` holds a run already.
        EdgecapError: `run` is no run, or `out` can't be written.
    """
    if (out / "run.json").exists():
        raise OptionError(f"{str(out)!r} holds a captioner already; choose another folder")
    design = read_design(run)
    provenance = {
        **design.provenance,
        "weights": "rounded to float16",
        "licence": licence,
        "command": _without_folders(design.provenance.get("command", "")),
    }
    make_folder(out)
    for part in ("encoder", "decoder"):
        with replacing(out / f"{part}.weights.h5") as stream:
            stream.write(_halved(run / f"{part}.weights.h5"))
    if card is not None:
        with open(card, "rb") as source, replacing(out / "README.md") as stream:
            shutil.copyfileobj(source, stream)
    design = dataclasses.replace(design, name=name or design.name, provenance=provenance)
    write_design(design, out)
    return sum(path.stat().st_size for path in out.iterdir())


def _halved(path: Path) -> bytes:
    """The same HDF5 tree with every float32 array as float16, deflated."""
    copy = io.BytesIO()
    with h5py.File(path, "r") as source, h5py.File(copy, "w") as target:
        _copy_attributes(source, target)

        def visit(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                values = node[()]
                if getattr(values, "dtype", None) == np.float32 and values.ndim:
                    made = target.create_dataset(
                        name, data=values.astype(np.float16), compression="gzip", shuffle=True
                    )
                else:
                    made = target.create_dataset(name, data=values)
            else:
                made = target.require_group(name)
            _copy_attributes(node, made)

        source.visititems(visit)
    return copy.getvalue()


def _copy_attributes(source: Any, target: Any) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value


def _without_folders(command: str) -> str:
    """Shorten paths in a command line to their last part."""
    return shlex.join(Path(word).name if "/" in word else word for word in shlex.split(command))
