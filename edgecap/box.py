"""The captioners in the box, and the sample photographs beside them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edgecap.record import RECORD, read_record
from edgecap_runtime.errors import OptionError


def captioners() -> dict[str, Path]:
    """Name to folder of the captioners that come with edgecap, in alphabetical order."""
    folder = _inside("captioners")
    if not folder.is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/run.json"))}


def known_captioners() -> dict[str, Path]:
    """Name to folder of the captioners that edgecap knows: `captioners()`, and those that have a
    record there but no weights, in alphabetical order."""
    folder = _inside("captioners")
    if not folder.is_dir():
        return {}
    found = {path.parent for name in ("run.json", RECORD) for path in folder.glob(f"*/{name}")}
    return {path.name: path for path in sorted(found)}


def find_run(name_or_path: str | Path, *, or_file: bool = False) -> Path:
    """Find a captioner in Keras form.

    Args:
        name_or_path: a folder that `edgecap train` wrote, or a name from `captioners()`; a folder
            goes before a name.
        or_file: whether an exported file would have been good too, for the error's sentence.

    Raises:
        OptionError: it is neither.
    """
    path = Path(name_or_path)
    if (path / "run.json").is_file():
        return path
    known = captioners()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if str(name_or_path) in known_captioners():
        commands = read_record(known_captioners()[str(name_or_path)]).commands
        raise OptionError(
            f"{str(name_or_path)!r} is not in the box; make it by: {' && '.join(commands)}; then "
            "give the folder that it wrote"
        )
    names = ", ".join(known) or "none in this installation"
    what = "is no run (it holds no run.json)" if path.exists() else "is neither a folder nor a name"
    file = "an exported file (.tflite or .onnx), " if or_file else ""
    raise OptionError(
        f"{str(name_or_path)!r} {what}; give {file}a folder that `edgecap train` wrote, or one of "
        f"the captioners in the box: {names}"
    )


def sample_photos() -> list[Path]:
    """The free photographs that come with edgecap, in alphabetical order."""
    return sorted(_inside("samples").glob("*.jpg"))


def _inside(name: str) -> Path:
    return Path(str(files("edgecap"))) / name
