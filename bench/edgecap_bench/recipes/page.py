"""The rows as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from edgecap.markdown import markdown_row
from edgecap_bench.pages import machine_line
from edgecap_bench.recipes.survey import FLOAT

__all__ = ["recipes_page"]

_NONE = "-"

_INTRODUCTION = """\
# Every recipe, measured

This page is the output of

    {command}

Each captioner was exported by each recipe to each format; the file's captions were compared with
those of the float32 Keras model on {images} photographs of the {split} split, which no recipe was
calibrated on ({calibrated_on} photographs of the train split were, seed 0); files took turns in
random order while they were timed, each in a process of its own.

- **photos**: photographs compared on.
- **size**: the file's bytes over those of the float32 file of the same format.
- **same captions**: share that is Keras' own, word for word, greedy / beam search.
- **BLEU-4**: corpus BLEU-4 of the file's captions minus that of Keras', with the 95 % interval of a
  paired bootstrap over the photographs. A gain is chance too.
- **nats, 99 %**: 99th percentile of the difference of a log probability at equal prefixes.
- **time**: the encoder and ten words, over the same of the float32 file of the same format.
- What a format can't have is listed with the reason.
"""


_SEVERAL = """
The figures were gathered by several calls with the same `--record`, slow or secondary recipes on
fewer photographs: see the column **photos**. On 30 or 100 a difference of BLEU is mostly chance.
"""


def recipes_page(
    rows: Sequence[Mapping[str, Any]],
    *,
    command: str,
    split: str,
    calibrated_on: int,
    machine: Mapping[str, Any],
    load: str,
) -> str:
    """Write the page.

    Args:
        rows: as `RecipeSurvey.run` gives them.
        command: what was run, for the reader to repeat.
        split: of the dataset.
        calibrated_on: photographs.
        machine: as `describe_machine` gives it.
        load: the machine's load averages before and after, in words.
    """
    images = sorted({row["images"] for row in rows})
    lines = [
        _INTRODUCTION.format(
            command=command,
            images=" or ".join(map(str, images)),
            split=split,
            calibrated_on=calibrated_on,
        )
    ]
    if len(images) > 1:
        lines.append(_SEVERAL)
    for captioner, group in groupby(rows, key=lambda row: row["captioner"]):
        lines += _section(captioner, list(group))
    lines += ["", machine_line(machine, load)]
    return "\n".join(lines) + "\n"


def _section(captioner: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    threads = sorted({key for row in rows for key in row.get("ms", {})}, key=int)
    head = [
        *(
            "file",
            "recipe",
            "photos",
            "MB",
            "size",
            "same captions",
            "BLEU-4 greedy",
            "BLEU-4 beam",
        ),
        *("nats, 99 %", "encode, ms", "word, ms"),
        *(f"time, {count} thread{'s' * (count != '1')}" for count in threads),
    ]
    first = rows[0]
    lines = [
        "",
        f"## {captioner}: {first['encoder']} with {first['decoder']}",
        "",
        markdown_row(head),
        markdown_row(["---", "---", *["--:"] * (len(head) - 2)]),
    ]
    base = {row["format"]: row for row in rows if row["recipe"] == FLOAT and "bytes" in row}
    for row in rows:
        if "bytes" in row:
            lines.append(markdown_row(_cells(row, base.get(row["format"]), threads)))
    missing = [row for row in rows if "bytes" not in row or "failed" in row]
    if missing:
        lines += [""]
    for row in missing:
        reason = row.get("refused") or row.get("failed")
        lines.append(f"- {row['format']} {row['recipe']}: {reason}")
    return lines


def _cells(
    row: Mapping[str, Any], base: Mapping[str, Any] | None, threads: Sequence[str]
) -> list[str]:
    scores = row.get("scores") or {}
    last = row.get("ms", {}).get(threads[-1]) if threads else None
    return [
        row["format"],
        row["recipe"] if row["passed"] else f"{row['recipe']} (below its gate)",
        str(row["images"]),
        f"{row['bytes'] / 1e6:.1f}",
        _NONE if base is None else f"{row['bytes'] / base['bytes']:.2f}",
        f"{row['greedy']:.1%} / {row['beam']:.1%}",
        *(_score(scores.get(search)) for search in ("greedy", "beam")),
        f"{row['p99']:.2g}",
        *(_NONE if last is None else f"{last[name]:.2f}" for name in ("encode", "word")),
        *(_ratio(row, base, count) for count in threads),
    ]


def _score(score: Mapping[str, float] | None) -> str:
    if score is None:
        return _NONE
    return (
        f"{score['bleu4']:.2f}, {score['difference']:+.2f} "
        f"({score['low']:+.2f} to {score['high']:+.2f})"
    )


def _ratio(row: Mapping[str, Any], base: Mapping[str, Any] | None, threads: str) -> str:
    mine = row.get("ms", {}).get(threads)
    other = None if base is None else base.get("ms", {}).get(threads)
    if mine is None or other is None:
        return _NONE
    return f"{mine['ten_words'] / other['ten_words']:.2f}"
