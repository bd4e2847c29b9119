"""The report's JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecap_runtime.atomic import replacing

__all__ = ["write_json"]


def write_json(report: Mapping[str, Any], path: Path) -> None:
    """Write the report, whole or not at all; raises `EdgecapError` if it can't be written."""
    with replacing(path) as stream:
        stream.write(json.dumps(report, ensure_ascii=False, allow_nan=False).encode("utf-8"))
        stream.write(b"\n")
