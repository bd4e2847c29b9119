"""The report's files: JSON, CSV, Markdown, a page and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecap_bench.csv_table import csv_table
from edgecap_bench.html.page import html_page
from edgecap_bench.markdown_tables import markdown_tables
from edgecap_bench.picture import draw_report
from edgecap_runtime.atomic import replacing

__all__ = ["write_json", "write_report"]


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json, .csv, .md, .html and .png, each whole or not at all.

    Raises `EdgecapError` if one can't be written.
    """
    write_json(report, folder / "report.json")
    for name, text in (
        ("report.csv", csv_table(report)),
        ("report.md", markdown_tables(report)),
        ("report.html", html_page(report)),
    ):
        with replacing(folder / name) as stream:
            stream.write(text.encode("utf-8"))
    draw_report(report, folder / "report.png")


def write_json(report: Mapping[str, Any], path: Path) -> None:
    """Write the report, whole or not at all; raises `EdgecapError` if it can't be written."""
    with replacing(path) as stream:
        stream.write(json.dumps(report, ensure_ascii=False, allow_nan=False).encode("utf-8"))
        stream.write(b"\n")
