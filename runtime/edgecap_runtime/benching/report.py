"""The report of one bench, as JSON for `edgecap bench` and as lines for people.

docs/device-bench.md says what its fields mean.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..device.machine import describe_machine
from ..options import search_name
from .measure import file_facts
from .summary import summary

if TYPE_CHECKING:
    from ..checking import CheckResult
    from ..manifest import Manifest
    from .measure import Measured

__all__ = ["SCHEMA", "as_lines", "make_report"]

SCHEMA = "edgecap-device-bench/1"
"""Name and version of the report's form; the number rises when a field changes its meaning."""

_PARTS = ("prepare", "encode", "per_word", "decode", "caption")


def make_report(
    file: str,
    manifest: Manifest,
    measured: Measured,
    *,
    photos: Mapping[str, Any],
    threads: int,
    beam: int,
    rounds: int,
) -> dict[str, Any]:
    """Put what was measured into the report's form.

    photos: what is said of the photographs.
    """
    parts = measured.parts
    words = [timings.per_step for timings in parts if timings.steps]
    times = {
        "prepare": [timings.prepare for timings in parts],
        "encode": [timings.encode for timings in parts],
        "per_word": words or [0.0],
        "decode": [timings.decode for timings in parts],
        "caption": measured.captions_ms,
    }
    return {
        "schema": SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "file": {
            **file_facts(file),
            "captioner": manifest.name,
            "encoder": manifest.encoder,
            "decoder": manifest.decoder,
            "kind": manifest.kind,
            "recipe": manifest.recipe,
            "words": len(manifest.vocabulary),
        },
        "settings": {
            "threads": threads,
            "beam": beam,
            "rounds": rounds,
            "photos": dict(photos),
        },
        "load_ms": {
            "first": round(measured.load_ms, 3),
            "again": round(measured.reload_ms, 3),
            "first_caption": round(measured.first_ms, 3),
        },
        "times_ms": {name: summary(times[name]) for name in _PARTS},
        "steps": summary([timings.steps for timings in parts]),
        "cpu_s_per_caption": round(measured.cpu_s / len(parts), 6),
        "memory_mb": {
            "before_load": _rounded(measured.resident_before_mb),
            "peak": _rounded(measured.peak_mb),
        },
        "check": _check(measured.check),
        "machine": describe_machine(),
        "health": {
            "before": measured.health_before.as_json() if measured.health_before else None,
            "after": measured.health_after.as_json() if measured.health_after else None,
        },
    }


def as_lines(report: Mapping[str, Any], measured: Measured) -> Iterator[str]:
    """Give the report in lines."""
    file, settings, machine = report["file"], report["settings"], report["machine"]
    memory, load = report["memory_mb"], report["load_ms"]
    photos = settings["photos"]
    yield ", ".join(
        (
            machine["model"] or machine["cpu"],
            f"{machine['cores']} cores",
            machine["os"],
            machine["architecture"],
        )
    )
    yield (
        f"{file['name']}: {file['bytes'] / 1e6:.1f} MB, {file['encoder']} + {file['decoder']}, "
        f"{file['recipe']}"
    )
    yield (
        f"{settings['rounds']} rounds over {photos['count']} photographs ({photos['source']}), "
        f"{search_name(settings['beam'])}, {settings['threads']} threads"
    )
    yield f"{'ms':10}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}"
    for name, title in (
        ("prepare", "prepare"),
        ("encode", "encode"),
        ("per_word", "a word"),
        ("caption", "caption"),
    ):
        row = report["times_ms"][name]
        yield f"{title:10}" + "".join(f"{row[key]:9.2f}" for key in ("p50", "p90", "p99", "max"))
    yield (
        f"load {load['first']:.0f} ms (again {load['again']:.0f}), first caption "
        f"{load['first_caption']:.0f} ms, processor {report['cpu_s_per_caption'] * 1e3:.1f} ms a "
        "caption"
    )
    peak = memory["peak"]
    yield "largest resident memory " + ("unknown" if peak is None else f"{peak:.0f} MB")
    if measured.check is not None:
        yield measured.check.sentence
    yield f"before: {measured.health_before}"
    yield f"after: {measured.health_after}"


def _check(result: CheckResult | None) -> dict[str, Any] | None:
    """Return the main figures of a check; None where there was none."""
    if result is None:
        return None
    whole = result.to_dict()
    return {key: whole[key] for key in ("passed", "largest", "tolerance")}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
