"""What was measured so far, kept beside the report so that an interrupted run can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgecap_bench.measure import Row, Timed
from edgecap_bench.sample import Sample
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError

__all__ = ["Record"]

_VERSION = 2


class Record:
    """A file of rows, for one choice of settings."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """path: the file; settings: what must be the same for rows to be of use."""
        self._path = path
        self._settings: Mapping[str, Any] = json.loads(json.dumps(settings))

    def read_into(self, rows: Sequence[Row]) -> None:
        """Fill rows with what was measured; a row that had failed is measured anew.

        Raises `OptionError` where there is no record, or one of another benchmark.
        """
        try:
            kept = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            raise OptionError(
                f"There is nothing to resume: {self._path} holds no record of an interrupted run; "
                "leave --resume out."
            ) from None
        if not isinstance(kept, dict) or kept.get("version") != _VERSION:
            raise OptionError(
                f"{self._path} was written by another edgecap; leave --resume out to begin anew."
            )
        for key, value in self._settings.items():
            if kept["settings"].get(key) != value:
                raise OptionError(
                    f"The interrupted run in {self._path.parent} had another {key} "
                    f"({_short(kept['settings'].get(key))}, not {_short(value)}); give the same "
                    "options, or leave --resume out."
                )
        known = {(item["label"], item["threads"]): item for item in kept["rows"]}
        for row in rows:
            found = known.get((row.plan.label, row.plan.threads))
            if found is not None and found["error"] is None:
                _restore(row, found)

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows; raises `EdgecapError` where that can't be."""
        kept = {
            "version": _VERSION,
            "settings": self._settings,
            "rows": [_to_dict(row) for row in rows],
        }
        with replacing(self._path) as stream:
            stream.write(json.dumps(kept).encode())

    def forget(self) -> None:
        """Drop the file: the run is complete."""
        self._path.unlink(missing_ok=True)


def _to_dict(row: Row) -> dict[str, Any]:
    return {
        "label": row.plan.label,
        "threads": row.plan.threads,
        **{name: getattr(row, name) for name in _PLAIN},
        "timed": [[item.round, item.photo, item.beam, asdict(item.sample)] for item in row.timed],
        "captions": {str(beam): words for beam, words in row.captions.items()},
    }


def _restore(row: Row, kept: Mapping[str, Any]) -> None:
    for name in _PLAIN:
        setattr(row, name, kept[name])
    row.timed = [
        Timed(turn, photo, beam, Sample(**sample)) for turn, photo, beam, sample in kept["timed"]
    ]
    row.captions = {int(beam): words for beam, words in kept["captions"].items()}


_PLAIN = (
    *("import_ms", "load_ms", "kind", "searched", "peak_mb"),
    *("cold_ms", "saturated", "joules", "error"),
)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
