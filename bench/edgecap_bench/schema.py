"""Whether a report is one that the readers of this package understand.

The schema itself is report.schema.json beside this file (JSON Schema, draft 2020-12), and
docs/bench-report.md says in words what each key means.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from edgecap_bench.report import SCHEMA as READ
from edgecap_runtime.errors import OptionError

__all__ = ["check_report", "read_report", "row_name"]

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_SHOWN = 40
"""Characters of a wrong value in a message."""


def check_report(report: Any) -> None:
    """Raise `OptionError` if this is no report in the schema "edgecap-bench/2".

    The sentence names the first key that is wrong and what is legal there. Keys that the schema
    doesn't know are legal anywhere.
    """
    _check_version(report)
    problem = next(_validator().iter_errors(report), None)
    if problem is not None:
        raise OptionError(f"{_sentence(problem)}; see docs/bench-report.md.")
    _check_rows(report)


def read_report(path: Path) -> dict[str, Any]:
    """Read a report's file; raises `OptionError` if it can't be read or is no report."""
    try:
        report = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
    except OSError as problem:
        raise OptionError(f"The report {path} can't be read: {problem.strerror}.") from None
    except ValueError as problem:  # of JSON and of UTF-8
        raise OptionError(f"The report {path} is no JSON: {problem}.") from None
    try:
        check_report(report)
    except OptionError as problem:
        raise OptionError(f"{path}: {problem}") from None
    return dict(report)


def row_name(row: Mapping[str, Any]) -> str:
    """Say which row it is: its target, threads and device."""
    threads = row["threads"]
    counted = "" if threads is None else f", {threads} thread{'s' * (threads > 1)}"
    return f"{row['target']}{counted}, {row['device']}"


def _check_version(report: Any) -> None:
    found = report.get("schema") if isinstance(report, Mapping) else None
    if found == READ:
        return
    if not isinstance(found, str) or not found.startswith("edgecap-bench/"):
        raise OptionError(
            f"This is no report of edgecap's benchmark: its schema is {_shown(found)}, "
            f"not {READ!r}."
        )
    _, _, number = found.partition("/")
    older = number.isdigit() and int(number) < int(READ.partition("/")[2])
    cure = (
        "measure again, or read it with the edgecap that wrote it"
        if older
        else "read it with the edgecap that wrote it, or a later one"
    )
    raise OptionError(f"The report has schema {found!r} and this edgecap reads {READ!r}; {cure}.")


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    text = resources.files("edgecap_bench").joinpath("report.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


def _sentence(error: Any) -> str:
    """Say in a clause which key is wrong and what is legal there."""
    where, found, legal = _place(error.absolute_path), error.instance, error.validator_value
    if error.validator == "required":
        missing = next(key for key in legal if key not in found)
        return f"The report lacks {_joined(where, missing)}"
    if "propertyNames" in error.absolute_schema_path:
        return f"The report has the key {_shown(found)} in {where}, which must match {legal}"
    match error.validator:
        case "type":
            kinds = [legal] if isinstance(legal, str) else legal
            must = f"must be {' or '.join(_TYPES[kind] for kind in kinds)}"
        case "const":
            must = f"must be {legal!r}"
        case "minimum":
            must = f"must be {legal} or more"
        case "maximum":
            must = f"must be {legal} or less"
        case "minItems":
            must = f"must have {legal} items or more"
        case "maxItems":
            must = f"must have {legal} items or fewer"
        case "pattern":
            must = f"must match {legal}"
        case other:  # none that the schema uses
            must = f"breaks the rule {other!r}"
    return f"The report's {where} is {_shown(found)} and {must}"


def _check_rows(report: Mapping[str, Any]) -> None:
    """Check what the schema can't say: rows name known devices, and none stands twice."""
    seen: set[tuple[str, int | None, str]] = set()
    for place, row in enumerate(report["rows"]):
        if row["device"] not in report["devices"]:
            raise OptionError(
                f"The report's rows[{place}].device is {row['device']!r}, which is none of its "
                f"devices ({', '.join(report['devices'])})."
            )
        key = (row["target"], row["threads"], row["device"])
        if key in seen:
            raise OptionError(f"The report has two rows of {row_name(row)}; keep one of them.")
        seen.add(key)


def _place(path: Sequence[str | int]) -> str:
    """Write a path into the report as a reader would: rows[3].caption_ms.greedy."""
    place = ""
    for step in path:
        place = f"{place}[{step}]" if isinstance(step, int) else _joined(place, step)
    return place


def _joined(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON knows")
