"""What became of the systems so far, kept in a file so that a survey can be made in parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgecap.files import make_folder
from edgecap_bench.systems.combinations import System
from edgecap_bench.systems.survey import FORMATS, Made, Outcome
from edgecap_runtime.atomic import replacing
from edgecap_runtime.errors import OptionError

__all__ = ["SystemsRecord"]

_VERSION = 1


class SystemsRecord:
    """A file of outcomes, all of one machine and one choice of settings."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Keep where they lie.

        Args:
            path: the file; it need not be there yet.
            settings: what must be the same for outcomes to stand in one table, as JSON has it.
        """
        self._path = path
        self._settings: Mapping[str, Any] = json.loads(json.dumps(settings))

    def read(self) -> list[Outcome]:
        """Give the outcomes of the systems that were taken whole; those with a problem are not.

        Raises:
            OptionError: the file is damaged, or of other settings.
        """
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise OptionError(f"The record {self._path} can't be read ({problem}).") from None
        try:
            kept = json.loads(text)
            if kept["version"] != _VERSION:
                raise ValueError(f"version {kept['version']}")
            settings, outcomes = kept["settings"], [_outcome(row) for row in kept["outcomes"]]
        except (KeyError, TypeError, ValueError) as problem:
            raise OptionError(
                f"The record {self._path} is none of this edgecap's ({type(problem).__name__}: "
                f"{problem}); give another file to --record, or delete it."
            ) from None
        for key, before, now in _differences(settings, self._settings):
            raise OptionError(
                f"The systems in {self._path} were taken with another {key} ({before}, not {now}); "
                "give another file to --record."
            )
        good = [outcome for outcome in outcomes if not outcome.problems]
        formats = [outcome.system for outcome in good]
        return [outcome for outcome in good if formats.count(outcome.system) == len(FORMATS)]

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Replace the file; raises `EdgecapError` where that can't be."""
        kept = {
            "version": _VERSION,
            "settings": self._settings,
            "outcomes": [asdict(outcome) for outcome in outcomes],
        }
        make_folder(self._path.parent)
        with replacing(self._path) as stream:
            stream.write((json.dumps(kept, indent=1) + "\n").encode())


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], within: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Give the name and both values of what differs; of what has parts, those alone."""
    for key, value in now.items():
        was = before.get(key)
        if was == value:
            continue
        if isinstance(was, dict) and isinstance(value, dict):
            yield from _differences(was, value, f"{key}'s ")
        else:
            yield f"{within}{key}", was, value


def _outcome(row: Mapping[str, Any]) -> Outcome:
    made = {
        recipe: Made(**{**fields, "failures": tuple(fields["failures"])})
        for recipe, fields in row["made"].items()
    }
    return Outcome(**{**row, "system": System(**row["system"]), "made": made})
