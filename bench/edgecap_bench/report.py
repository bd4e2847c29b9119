"""From rows to the report: the JSON that everything else is drawn from.

`schema` is "edgecap-bench/2", described in docs/bench-report.md; a change that breaks readers
raises the number. Times are milliseconds, memory and sizes MB (10^6 bytes) or bytes where the key
says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap_bench.machine import file_facts
from edgecap_bench.measure import Row, Timed, caption_rounds
from edgecap_bench.quality import Quality
from edgecap_bench.sample import PARTS, Sample
from edgecap_bench.statistics import NOISY, median_interval, percentile, ratio_of_photos, summary
from edgecap_bench.targets.registry import Plan
from edgecap_runtime.options import search_name

__all__ = ["HERE", "SCHEMA", "build_rows", "empty_row", "stacked_ms"]

SCHEMA = "edgecap-bench/2"
HERE = "this machine"
"""The device of rows that were measured by the run itself."""


def build_rows(rows: Sequence[Row], quality: Quality, seed: int) -> list[dict[str, Any]]:
    """Give each row as the report has it, with its ratios to the others.

    rows: of one number of threads, which alone can be compared.
    """
    reference = _reference(rows)
    return [
        {
            **_facts(row),
            **_times(row, seed),
            **_memory(row, rows),
            "same_words": _same_words(row, reference),
            "quality": {
                search_name(beam): dict(scores)
                for beam, scores in quality.get(row.plan.label, {}).items()
            },
            "ratios": _ratios(row, rows),
            "disturbed": False,
            "samples": _columns(row.timed),
        }
        for row in rows
    ]


def _facts(row: Row) -> dict[str, Any]:
    # Only what was loaded: where an export failed, an older file may lie.
    loaded = row.plan.files if row.load_ms is not None else ()
    files = [file_facts(path) for path in loaded]
    return {
        "target": row.plan.label,
        "threads": row.plan.threads,
        "device": HERE,
        "error": row.error,
        "recipe": row.plan.recipe,
        "floor_of": row.plan.floor_of,
        "kind": row.kind,
        "searched": row.searched,
        "files": files,
        "file_mb": sum(item["bytes"] for item in files) / 1e6 if files else None,
        "parity": _parity(row),
        "check": row.check,
    }


def _parity(row: Row) -> dict[str, Any] | None:
    """Give the main figures of the parity report in an exported file, if it has one."""
    from edgecap_runtime.bundle import read_manifest
    from edgecap_runtime.errors import BundleError

    if not row.plan.has_floor or row.load_ms is None:
        return None
    try:
        parity = read_manifest(row.plan.files[0]).parity
    except BundleError:
        return None
    wanted = ("verdict", "images", "token_exact_greedy", "token_exact_beam", "largest", "p99")
    return None if parity is None else {key: parity[key] for key in wanted if key in parity}


def _times(row: Row, seed: int) -> dict[str, Any]:
    greedy = [item for item in row.timed if item.beam == 1]
    parts: dict[str, Any] = {f"{part}_ms": None for part in PARTS}
    if greedy:
        parts = {
            f"{part}_ms": summary([item.sample.part_ms(part) for item in greedy]) for part in PARTS
        }
    steps = [item.sample for item in greedy if item.sample.steps]
    searches = sorted({item.beam for item in row.timed})
    return {
        "import_ms": row.import_ms,
        "load_ms": row.load_ms,
        "cold_start_ms": summary(row.cold_ms) if row.cold_ms else None,
        **parts,
        "per_word_ms": summary([item.words_ms / item.steps for item in steps]) if steps else None,
        "steps": summary([item.steps for item in steps]) if steps else None,
        "words_by_steps": _words_by_steps(steps),
        "cpu_ms": summary([item.sample.cpu_ms for item in greedy]) if greedy else None,
        "caption_ms": {search_name(beam): _captions(row, beam, seed) for beam in searches},
        "throughput": _throughput(row, greedy),
        "energy_j": row.joules / len(row.timed) if row.joules and row.timed else None,
        "photos": len({item.photo for item in row.timed}),
    }


def empty_row(target: str, threads: int | None, device: str) -> dict[str, Any]:
    """Give a row of which nothing is known yet."""
    row = Row(Plan(target, (), threads=threads))
    return {**build_rows([row], {}, 0)[0], "device": device}


def _per_s(many: Mapping[str, Any]) -> float:
    return float(many["captions"] / many["seconds"])


def _words_by_steps(samples: Sequence[Sample]) -> dict[str, float]:
    """Give the median time of all words by the number of steps that they took."""
    times: dict[int, list[float]] = {}
    for sample in samples:
        times.setdefault(sample.steps, []).append(sample.words_ms)
    return {str(steps): percentile(times[steps], 50) for steps in sorted(times)}


def _throughput(row: Row, greedy: Sequence[Timed]) -> dict[str, Any] | None:
    if not greedy:
        return None
    mean_ms = sum(item.sample.caption_ms for item in greedy) / len(greedy)
    many = row.saturated
    return {
        "one_stream_per_s": 1e3 / mean_ms,
        "saturated_per_s": None if many is None else _per_s(many),
        "how": None if many is None else many["how"],
    }


def _captions(row: Row, beam: int, seed: int) -> dict[str, Any]:
    rounds = caption_rounds(row, beam)
    whole = summary([value for values in rounds for value in values])
    low, high = median_interval(rounds, seed)
    return {**whole, "p50_interval": [low, high], "noisy": high - low > NOISY * whole["p50"]}


def _memory(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    over = None
    for other in rows:
        if other.plan.floor_of == row.plan.label and other.peak_mb and row.peak_mb:
            over = row.peak_mb - other.peak_mb
    return {"peak_mb": row.peak_mb, "peak_over_bare_mb": over}


def _reference(rows: Sequence[Row]) -> Row | None:
    """Give the row whose words the others are compared with: the first that said the most."""
    candidates = [row for row in rows if row.said and row.plan.floor_of is None]
    return max(candidates, key=lambda row: _said_greedily(row), default=None)


def _said_greedily(row: Row) -> int:
    return sum(beam == 1 for _, beam in row.said)


def _same_words(row: Row, reference: Row | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    common = [place for place in row.said if place[1] == 1 and place in reference.said]
    if not common:
        return None
    same = sum(list(row.said[at].ids) == list(reference.said[at].ids) for at in common)
    return {"as": reference.plan.label, "photos": len(common), "same": same}


def _ratios(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """Compare a row with its own floor and beam, and with each row in Keras form."""
    own = _by_photo(row.timed, 1)
    ratios: dict[str, Any] = {
        "over_bare": None,
        "cold_over_bare": None,
        "saturated_over_bare": None,
        "beam_over_greedy": {},
        "faster_than": {},
    }
    if row.plan.floor_of is not None:
        return ratios
    for other in rows:
        theirs = _by_photo(other.timed, 1)
        if other.plan.floor_of == row.plan.label:
            ratios["over_bare"] = ratio_of_photos(own, _by_photo(other.timed, 1, parts=True))
            if row.cold_ms and other.cold_ms:
                ratios["cold_over_bare"] = percentile(row.cold_ms, 50) / percentile(
                    other.cold_ms, 50
                )
            if row.saturated and other.saturated:
                ratios["saturated_over_bare"] = _per_s(row.saturated) / _per_s(other.saturated)
        elif other.plan.baseline and other is not row:
            ratios["faster_than"][other.plan.label] = ratio_of_photos(theirs, own)
    for beam in sorted({item.beam for item in row.timed} - {1}):
        searched = _by_photo(row.timed, beam)
        ratios["beam_over_greedy"][str(beam)] = ratio_of_photos(searched, own)
    return ratios


def _by_photo(timed: Sequence[Timed], beam: int, parts: bool = False) -> dict[int, list[float]]:
    """Give each photograph's caption times, or the sums of its parts' times."""
    times: dict[int, list[float]] = {}
    for item in timed:
        if item.beam == beam:
            value = item.sample.parts_ms if parts else item.sample.caption_ms
            times.setdefault(item.photo, []).append(value)
    return times


def _columns(timed: Sequence[Timed]) -> dict[str, list[Any]]:
    """Give all samples, a list for each quantity, for whoever wants to look closer."""
    columns: dict[str, list[Any]] = {
        name: [getattr(item, name) for item in timed] for name in ("round", "photo", "beam")
    }
    for name in (*(f"{part}_ms" for part in PARTS), "caption_ms", "cpu_ms"):
        columns[name] = [round(getattr(item.sample, name), 4) for item in timed]
    columns["steps"] = [item.sample.steps for item in timed]
    return columns


def stacked_ms(row: Mapping[str, Any]) -> list[float] | None:
    """Give the median times of prepare, encode and words, greedy, for a stacked bar."""
    samples = row["samples"]
    greedy = [place for place, beam in enumerate(samples["beam"]) if beam == 1]
    if not greedy:
        return None
    return [percentile([samples[f"{part}_ms"][at] for at in greedy], 50) for part in PARTS]
