"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap.markdown import markdown_row
from edgecap_bench.pages import machine_line
from edgecap_bench.processors.summary import gains, int8_products, roundings

__all__ = ["processors_page"]

_NONE = "-"
_REAL = ("native", "masked")

_INTRODUCTION = """\
# The same files on many processors

This page is the output of

    {command}

Each captioner was exported by each recipe to each format on one machine. Each file then captioned
{photographs} on each processor, greedily; emulated ones took the first
{emulated} of them. The pictures were prepared once, so that decoding JPEG doesn't enter. Recipes
were calibrated on {calibration}.

- **native** is the exporting machine: {cpu}. Instructions for 8-bit products: {products}.
- **masked** is the same machine with features of its processor hidden from the program, which then
  chooses the kernels of an older one and runs them at native speed.
- **emulated** processors are played by qemu: right answers, no times. qemu knows no VNNI.
- **Chromium** runs `.tflite` files by LiteRT.js in WebAssembly.
"""

_TABLES = """
How to read the tables below:

- **photos**: photographs captioned; fewer where the processor is emulated.
- **as Keras**, **as native**: captions that are those of the float32 Keras model, and those that
  the same file said on the exporting machine, word for word.
- **caption**: largest difference of a caption's log probability against the exporting machine's
  (nats), of captions with the same words.
- **equal prefixes**: largest difference, against the exporting machine, of a log probability of
  Keras' words when these words are fed. The second figure is over the whole vocabulary.
- **gate**: whether the recipe's gate against Keras holds there: by log probabilities at equal
  prefixes over the whole vocabulary, and by captions from 100 photographs on. The figure is what
  the gate bounds (the largest difference for float32, else the 99th percentile).
- **Rounding between right processors** is the largest difference at equal prefixes over all
  processors but the exporting one. The tolerance of a file's self-check is derived from it: twice
  that.
"""

_INT8 = """
## What int8 buys on which processor

The words of an int8 file are the same on all processors but for rounding; its speed is not.
With VNNI (AVX512-VNNI or AVX-VNNI: Intel's servers since 2019 and PCs since 2021, AMD since Zen 4)
or ARM's dot product (Cortex-A76 and newer) one instruction multiplies and adds four pairs of 8-bit
numbers, and static-int8 makes a MobileNet or InceptionV3 of full size two to four times as fast as
float32. Of AVX-VNNI alone, without AVX-512, LiteRT 2.3 makes no use. With AVX2 and no VNNI (most
PCs sold before 2021) such a product takes several instructions. There static-int8 is still a
quarter of the size, and a third to a half faster in ONNX Runtime, but no faster in LiteRT: where
size doesn't matter, float32 or dynamic-int8 in a `.tflite` is as good. The smaller the encoder, the
less there is to gain. `edgecap export --quantize auto` times its candidates on the machine that it
runs on, and so already chooses by its processor: run it on the kind of machine that the file is
for.
"""

_TIMES = """
Median milliseconds of the encoder for a photograph, {threads} thread{s}, on real cores (native and
masked); the last column is float32's time over static-int8's:
"""


def processors_page(result: Mapping[str, Any]) -> str:
    """Write the page of what `bench/processors.py --json` keeps."""
    machine = result["machine"]
    introduction = _INTRODUCTION.format(
        command=result["command"],
        calibration=result["calibration"],
        photographs=result["photographs"],
        emulated=result["emulated_images"],
        cpu=machine["cpu"],
        products=int8_products(machine),
    )
    lines = [introduction, *_processors(result), _INT8.rstrip("\n"), *_times(result), _TABLES]
    for captioner in result["captioners"]:
        lines += _section(captioner, result)
    lines += [machine_line(machine, result["load"])]
    return "\n".join(lines) + "\n"


def _processors(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Processors",
        "",
        markdown_row(["name", "processor", "files", "run"]),
        markdown_row(["---"] * 4),
    ]
    for place in result["processors"]:
        run = "yes" if place["missing"] is None else f"no: {place['missing']}"
        files = ", ".join(f"`{suffix}`" for suffix in place["formats"])
        lines.append(markdown_row([f"`{place['name']}`", place["title"], files, run]))
    return lines


def _times(result: Mapping[str, Any]) -> list[str]:
    titles = {place["name"]: place["title"] for place in result["processors"]}
    timed = [place["name"] for place in result["processors"] if place["how"] in _REAL]
    found = gains(_shown(result), timed)
    if not found:
        return [""]
    found.sort(key=lambda gain: (result["captioners"].index(gain.captioner), gain.format))
    threads = result["threads"]
    return [
        _TIMES.format(threads=threads, s="" if threads == 1 else "s"),
        markdown_row(["captioner", "file", "processor", "float32", "static-int8", "gain"]),
        markdown_row(["---"] * 3 + ["--:"] * 3),
        *(
            markdown_row(
                [
                    gain.captioner,
                    gain.format,
                    titles[gain.processor],
                    f"{gain.float_ms:.1f}",
                    f"{gain.int8_ms:.1f}",
                    f"{gain.float_ms / gain.int8_ms:.2f}",
                ]
            )
            for gain in found
        ),
    ]


def _section(captioner: str, result: Mapping[str, Any]) -> list[str]:
    about = result["about"][captioner]
    rows = [row for row in _shown(result) if row["captioner"] == captioner]
    lines = [
        f"## {captioner}: {about['encoder']} with {about['decoder']}",
        "",
        "Rounding between right processors:",
        "",
        *_roundings(rows, result),
        "",
        "All rows:",
        "",
        *_rows(rows, result),
        "",
    ]
    none = _without(captioner, rows, result)
    return [*lines, *none, ""] if none else lines


def _roundings(rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> list[str]:
    titles = {place["name"]: place["title"] for place in result["processors"]}
    head = ["recipe", "file", "equal prefixes", "twice that", "any word", "furthest", "processors"]
    return [
        markdown_row(head),
        markdown_row(["---", "---", "--:", "--:", "--:", "---", "--:"]),
        *(
            markdown_row(
                [
                    item.recipe,
                    item.format,
                    _nats(item.words_nats),
                    _nats(2 * item.words_nats),
                    _nats(item.any_word_nats),
                    titles[item.processor],
                    str(item.processors),
                ]
            )
            for item in roundings(rows)
        ),
    ]


def _rows(rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> list[str]:
    titles = {place["name"]: place["title"] for place in result["processors"]}
    head = [
        *("recipe", "file", "processor", "photos", "as Keras", "as native"),
        *("caption, nats", "equal prefixes, nats", "gate"),
    ]
    return [
        markdown_row(head),
        markdown_row(["---"] * 3 + ["--:"] * 5 + ["---"]),
        *(
            markdown_row(
                [row["recipe"], row["format"], titles[row["processor"]], *_figures(row, result)]
            )
            for row in rows
        ),
    ]


def _figures(row: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [*[_NONE] * 5, "**failed**, see below"]
    native = row["processor"] == "native"
    caption = row["caption_nats"]
    gate = "holds" if row["holds"] else "**fails**"
    return [
        str(row["images"]),
        str(row["as_keras"]),
        _NONE if native else str(row["as_native"]),
        _NONE if native or caption is None else _nats(caption),
        _NONE if native else f"{_nats(row['words_nats'])} / {_nats(row['any_word_nats'])}",
        f"{gate} ({_nats(row['keras_nats'])})",
    ]


def _without(
    captioner: str, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]
) -> list[str]:
    """Say which files there are none of, and which rows failed, with the reasons."""
    titles = {place["name"]: place["title"] for place in result["processors"]}
    lines = [
        f"- {item['format']} {item['recipe']}: {item.get('refused') or item.get('failed')}"
        for item in sorted(_wanted(result["files"], result), key=_order(result))
        if item["captioner"] == captioner and "bytes" not in item
    ]
    return lines + [
        f"- {row['format']} {row['recipe']}, {titles[row['processor']]}: {row['failed']}"
        for row in rows
        if "failed" in row
    ]


def _shown(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of what this call asked for, in the order of its choices."""
    order = [place["name"] for place in result["processors"]]
    rows = [row for row in _wanted(result["rows"], result) if row["processor"] in order]
    files = _order(result)
    return sorted(rows, key=lambda row: (*files(row), order.index(row["processor"])))


def _wanted(items: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> list[Any]:
    """Leave out what an earlier call left in the folder of results."""
    return [
        item
        for item in items
        if item["captioner"] in result["captioners"]
        and item["recipe"] in result["recipes"]
        and item["format"] in result["formats"]
    ]


def _order(result: Mapping[str, Any]) -> Any:
    return lambda item: (
        result["captioners"].index(item["captioner"]),
        result["recipes"].index(item["recipe"]),
        result["formats"].index(item["format"]),
    )


def _nats(value: float) -> str:
    return f"{value:.2g}"
