"""A run made small: float16 weights, no checkpoint, no path of the machine that trained it."""

from __future__ import annotations

import dataclasses
import io
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgecap.captioner import read_design, write_design
from edgecap.cards import NOTES, write_card
from edgecap.files import make_folder
from edgecap.lineage import changed_before
from edgecap.record import RECORD, Record, read_record, write_record
from edgecap.seeds import with_other_seeds
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError


def publish_run(
    run: Path,
    out: Path,
    *,
    licence: str,
    notes: Path | None = None,
    name: str | None = None,
    others: Sequence[Path] = (),
) -> Record:
    """Write the small copy of `run` to `out`, with its record and its model card.

    Args:
        run: a folder that `edgecap train` wrote.
        out: folder of the copy.
        licence: licence of the weights and terms of the data.
        notes: a Markdown file for the card, copied to `out/notes.md`.
        name: another name for the captioner.
        others: runs of the same training with other seeds, whose scores go into the record; see
            `edgecap.seeds`.

    Returns:
        The record, without figures of files.

    Raises:
        OptionError: `out` holds a run already, or one of the others is another training.
        EdgecapError: `run` is no run, or `out` can't be written.
    """
    if (out / "run.json").exists():
        raise OptionError(f"{str(out)!r} holds a captioner already; choose another folder")
    design = read_design(run)
    before = with_other_seeds(Record.of_run(run), others)
    provenance = {
        **_without_folders(design.provenance),
        "weights": "rounded to float16",
        "licence": licence,
    }
    make_folder(out)
    for part in ("encoder", "decoder"):
        with replacing(out / f"{part}.weights.h5") as stream:
            stream.write(_halved(run / f"{part}.weights.h5"))
    if notes is not None:
        with open(notes, "rb") as source, replacing(out / NOTES) as stream:
            shutil.copyfileobj(source, stream)
    write_design(dataclasses.replace(design, name=name or design.name, provenance=provenance), out)
    record = dataclasses.replace(Record.of_run(out), curve=before.curve, seeds=before.seeds)
    write_record(record, out)
    write_card(record, out)
    return record


def keep_record(published: Path, out: Path) -> None:
    """Copy the record of a published run to a folder that is to hold no weights; write its card.

    Raises:
        OptionError: the folder holds a run.
        EdgecapError: it can't be written.
    """
    check_without_weights(out)
    make_folder(out)
    for name in (RECORD, NOTES):
        if (published / name).exists():
            with open(published / name, "rb") as source, replacing(out / name) as stream:
                shutil.copyfileobj(source, stream)
    write_card(read_record(out), out)


def check_without_weights(folder: Path) -> None:
    """See that a folder may hold a record alone, before an hour of measuring.

    Raises:
        OptionError: it holds a run.
    """
    if (folder / "run.json").exists():
        raise OptionError(
            f"{str(folder)!r} holds a captioner with its weights; choose another folder"
        )


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


def _without_folders(made: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten the paths in the command of a run, and of those that it comes from."""
    return {
        **made,
        "command": without_folders(made.get("command", "")),
        **changed_before(made, _without_folders),
    }


def without_folders(command: str) -> str:
    """Shorten paths in a command line to their last part."""
    return shlex.join(Path(word).name if "/" in word else word for word in shlex.split(command))
