"""What a captioner's file says of itself, in lines for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .bundle import ModelFile
from .manifest import ANY_PROCESSOR, SearchInside
from .prefix import Prefix

if TYPE_CHECKING:
    from .check_entry import SelfCheck

__all__ = ["describe"]

_SHOWN = 3
"""Names of photographs, and captions that differ, that are shown; all are in the JSON."""

_LEAST = 0.001
_PARTS = ("encoder", "embedding", "step", "output")


def describe(file: ModelFile) -> Iterator[str]:
    """Yield the lines that `edgecap-runtime show` prints of a file.

    What an exporter says of quantization and parity is put in words; what is in another form than
    this version knows is shown as it stands. Raises `BundleError` where a file contradicts itself.
    """
    manifest = file.manifest
    checksum = "right" if file.checksummed else f"none (format {manifest.format_version})"
    vocabulary = manifest.vocabulary
    roles: dict[str, int | None] = {
        "start": vocabulary.start_id,
        "end": vocabulary.end_id,
        "padding": vocabulary.padding_id,
        "unknown": vocabulary.unknown_id,
    }
    never = [f"{vocabulary.words[item]} ({item})" for item in vocabulary.never_said]
    source = dict(manifest.source)
    quantization = source.pop("quantization", None)
    facts: dict[str, Any] = {
        "file": f"{file.path} ({len(file.content) / 1e6:.1f} MB)",
        "checksum": checksum,
        "name": manifest.name,
        "format version": manifest.format_version,
        "kind": manifest.kind,
        "prefix": "none" if manifest.prefix is None else _prefix(manifest.prefix, vocabulary.words),
        "search inside": _search(manifest.greedy),
        "one call": _search(manifest.one_call),
        "encoder": manifest.encoder,
        "decoder": manifest.decoder,
        "recipe": manifest.recipe,
        **({"processor": _processor(manifest.processor)} if file.container == "onnx" else {}),
        "created": manifest.created,
        "preparation": asdict(manifest.preparation),
        "vocabulary": {
            "words": len(vocabulary),
            **{
                role: "none" if place is None else f"{vocabulary.words[place]} ({place})"
                for role, place in roles.items()
            },
            "never said": ", ".join(never) or "none",
            "attached to the word before": " ".join(vocabulary.attach_left) or "none",
        },
        "state": {item.name: f"{item.dtype} {list(item.shape)}" for item in manifest.state},
        "decoding defaults": asdict(manifest.defaults),
        "quantization": _or_as_it_stands(_quantization, quantization, "not said"),
        "made from": source or "not said",
        "parity": _or_as_it_stands(_parity, manifest.parity, "not checked"),
        "carried to check itself": _check(manifest.check),
    }
    yield from _outline(facts, 0)


def _processor(name: str) -> str:
    if name == ANY_PROCESSOR:
        return "any"
    return (
        f"{name}; on x86 without it its 8-bit products could overflow, so ONNX Runtime is told to "
        "take slower ones there"
    )


def _search(search: SearchInside | None) -> str | dict[str, Any]:
    return "none" if search is None else {"search": "greedy", **asdict(search)}


def _check(check: SelfCheck | None) -> str | dict[str, str]:
    if check is None:
        return "nothing"
    return {
        "pictures": ", ".join(picture.name for picture in check.pictures),
        "exported on": str(check.machine),
        "tolerance": f"{check.tolerance:g} of a log-probability",
    }


def _prefix(prefix: Prefix, words: Sequence[str]) -> dict[str, Any]:
    skipped = prefix.skipped_id
    return {
        "length": "that of the words" if prefix.length is None else prefix.length,
        "padding": f"{words[prefix.padding_id]} ({prefix.padding_id}), at the {prefix.padded}",
        "skipped": "none" if skipped is None else f"{words[skipped]} ({skipped})",
    }


def _or_as_it_stands(
    tell: Callable[[dict[str, Any]], dict[str, Any]], value: Any, absent: str
) -> Any:
    """Put a report in words; one without the keys or kinds that `tell` wants stays as it is."""
    if value is None:
        return absent
    try:
        return tell(dict(value))
    except (AttributeError, KeyError, TypeError, ValueError):
        return dict(value) if isinstance(value, Mapping) else value


def _quantization(made: dict[str, Any]) -> dict[str, Any]:
    recipe = dict(made.pop("recipe"))
    weights = dict(made.pop("weights"))
    gate = recipe.pop("gate")
    recipe.pop("spare_delicate", None)  # what it came to is in keep_float
    lines: dict[str, Any] = {
        "recipe": f"{recipe.pop('name')}: {recipe.pop('description')}",
        **{
            part: _weights(recipe.pop(part), weights.pop(part))
            for part in _PARTS
            if part in recipe and part in weights
        },
        "kept in float32": ", ".join(recipe.pop("keep_float")) or "no block of the encoder",
        "ranges": recipe.pop("ranges"),
        "bias correction": _yes(recipe.pop("bias_correction")),
        "gate": _gate(gate),
        "calibration": _calibration(made.pop("calibration", None)),
    }
    # What a newer exporter adds.
    return {**lines, **recipe, **weights, **{key: _plain(value) for key, value in made.items()}}


def _weights(treatment: str, types: Mapping[str, int]) -> str:
    total = sum(types.values())
    shares = sorted(types.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{_share(size / total)} {kind}" for kind, size in shares if size)
    return f"{treatment}; {_size(total)}" + (f", {shown}" if shown else "")


def _calibration(made: Mapping[str, Any] | None) -> str:
    if made is None:
        return "none"
    names = list(made["names"])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{made['images']} photographs, seed {made['seed']}: {', '.join(names[:_SHOWN])}{more}"


def _gate(gate: Mapping[str, float]) -> str:
    quantile = gate["quantile"]
    place = "largest difference" if quantile == 1 else f"{quantile:.0%} of the differences"
    return (
        f"{gate['identical']:.1%} of the captions the same, {place} of log-probabilities at most "
        f"{gate['log_probability']:g}"
    )


def _parity(report: dict[str, Any]) -> dict[str, Any]:
    images, beam = report.pop("images"), report.pop("beam")
    pictures = "generated pictures" if report.pop("generated") else "photographs"
    greedy, searched = report.pop("token_exact_greedy"), report.pop("token_exact_beam")
    differences = [_difference(item) for item in report.pop("differences")]
    lines: dict[str, Any] = {
        "verdict": report.pop("verdict"),
        "compared on": f"{images} {pictures}, of which Keras says {report.pop('distinct')} "
        "different captions",
        "same captions as Keras'": f"{greedy:.1%} greedy, {searched:.1%} by beam {beam}",
        "log-probabilities at equal prefixes": "largest difference "
        f"{_number(report.pop('largest'))}, 99th percentile {_number(report.pop('p99'))}",
        "gate": _gate(report.pop("gate")),
    }
    ways = {
        "search_exact": "same captions by the search inside as word by word",
        "one_call_exact": "same captions in one call as word by word",
    }
    for key, line in ways.items():
        if (same := report.pop(key, None)) is not None:
            lines[line] = f"{same:.1%}"
    failures = report.pop("failures")
    if failures:
        lines["below the gate"] = "; ".join(failures)
    for search, score in (report.pop("scores") or {}).items():
        lines[f"corpus BLEU-4, {search}"] = _score(score)
    if differences:
        lines["captions that differ"] = {
            "number": len(differences),
            **dict(differences[:_SHOWN]),
        }
    # What a newer exporter adds.
    return {**lines, **report}


def _difference(item: Mapping[str, Any]) -> tuple[str, str]:
    return (
        f"{item['image']}, {item['search']}",
        f"{item['exported']!r}, Keras {item['reference']!r}",
    )


def _score(score: Mapping[str, float]) -> Any:
    try:
        return (
            f"{score['bleu4']:.2f}, Keras {score['bleu4_keras']:.2f}, difference "
            f"{score['difference']:+.2f} (95 % interval {score['low']:+.2f} to "
            f"{score['high']:+.2f})"
        )
    except KeyError:  # another scorer's
        return dict(score)


def _plain(value: Any) -> Any:
    """Give a list of records as an outline: one record a line, by its first value."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and item for item in value):
        rows = [(str(next(iter(item.values()))), list(item.items())[1:]) for item in value]
        return {
            name: ", ".join(
                f"{key} {known:.3g}" if isinstance(known, float) else f"{key} {known}"
                for key, known in rest
                if known is not None
            )
            for name, rest in rows
        }
    return value


def _share(share: float) -> str:
    """Give a share in per cent, so that only a whole is 100 and only nothing is 0."""
    if 0 < share < _LEAST:
        return f"<{_LEAST:.1%}"
    if 1 - _LEAST < share < 1:
        return f">{1 - _LEAST:.1%}"
    return f"{share:.0%}" if share in (0, 1) or 0.005 <= share < 0.995 else f"{share:.1%}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.2g}"


def _yes(value: Any) -> Any:
    return {True: "yes", False: "no"}[value]


def _outline(facts: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, value in facts.items():
        head = f"{'  ' * depth}{name}:"
        if isinstance(value, Mapping):
            yield head
            yield from _outline(value, depth + 1)
        elif isinstance(value, list):
            yield f"{head} {json.dumps(value, ensure_ascii=False)}"
        else:
            yield f"{head} {value}"
