"""Pages of Markdown with tables, and the line on the machine that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgecap.console import ERRORS
from edgecap_runtime.atomic import replacing

__all__ = ["load_words", "machine_line", "write_page"]

_PACKAGES = ("keras", "tensorflow", "ai-edge-litert", "onnxruntime", "litert-quantizer", "tf2onnx")


def machine_line(machine: Mapping[str, Any], load: str) -> str:
    """Say what the figures were measured on.

    machine: as `describe_machine` gives it; load: as `load_words` gives it.
    """
    versions = machine["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)
    memory = f", {machine['memory_mb'] / 1000:.0f} GB" if machine["memory_mb"] else ""
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores{memory}, {machine['architecture']}, "
        f"Python {machine['python']}; {named}. {load}"
    )


def load_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say how busy the machine was; before, after: as `load_now` gives them."""
    first, last = before["load_average"], after["load_average"]
    if first is None or last is None:
        return ""
    return f"Load average before {first[0]:.1f}, after {last[0]:.1f}."


def write_page(page: str, out: Path | None) -> None:
    """Write a page whole to a file, or to standard output where there is none."""
    if out is None:
        click.echo(page, nl=False)
        return
    with replacing(out) as stream:
        stream.write(page.encode())
    ERRORS.print(f"written: {out}", markup=False)
