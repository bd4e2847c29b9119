"""Reports as the benchmark writes them, with figures that are made up but could be true."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecap_bench.statistics import NOISY, median_interval, percentile, summary

METRICS = {
    "bleu1": 64.9,
    "bleu2": 45.4,
    "bleu3": 30.5,
    "bleu4": 19.9,
    "rouge_l": 46.1,
    "meteor_exact_stem": 20.3,
    "cider_d": 0.52,
    "sentence_mean_bleu1": 62.6,
}
"""What the float captioner scores."""

NO_GPU = "no GPU that torch, JAX or TensorFlow sees here: never measured"
PI = "Raspberry Pi 5 Model B Rev 1.0"
PHOTOS = 6
ROUNDS = 6


@dataclass(frozen=True)
class Made:
    """What a row is made up of; times in milliseconds, sizes in MB."""

    target: str
    encode: float
    word: float
    """A decoder step, or what the prefix costs at its first word."""
    size: float
    peak: float
    cold: float
    bleu4: float = METRICS["bleu4"]
    same: float = 1.0
    kind: str = "step"
    growth: float = 0.0
    """What each word more in the prefix costs."""
    beams: tuple[int, ...] = (1, 3)
    baseline: bool = False
    floor_of: str | None = None
    noise: float = 0.01
    steps: Sequence[int] = field(default=(7, 8, 9, 10, 11, 13))


FULL = (
    Made("keras", 16.0, 1.9, 13.6, 702.0, 4810.0, baseline=True),
    Made(
        "notebook",
        *(68.0, 55.0, 13.6, 726.0, 5230.0),
        kind="prefix",
        beams=(1,),
        baseline=True,
        growth=0.4,
        noise=0.04,
    ),
    Made("tflite:float32", 5.1, 0.4, 28.0, 113.5, 262.0),
    Made(
        *("bare tflite:float32", 5.0, 0.38, 28.0, 112.7, 240.0),
        floor_of="tflite:float32",
        beams=(1,),
    ),
    Made("tflite:static-int8", 2.6, 0.12, 7.5, 78.3, 236.0, 19.70, 0.861),
    Made(
        *("bare tflite:static-int8", 2.55, 0.11, 7.5, 76.0, 221.0),
        floor_of="tflite:static-int8",
        beams=(1,),
    ),
    Made("onnx:float32", 6.4, 0.5, 28.1, 141.0, 301.0),
    Made("onnx:static-int8", 2.9, 0.2, 7.4, 97.4, 288.0, 19.84, 0.857, noise=0.09),
    Made(
        *("mobilenet-bilstm-dynamic-int8.tflite", 10.7, 0.16, 9.9, 88.8, 251.0, 18.4, 0.41),
        kind="prefix",
        growth=0.06,
    ),
)
"""The targets of a full run, but the GPU, that could be measured."""


def full_report(
    made: Sequence[Made] = FULL,
    *,
    threads: Sequence[int] = (1, 2),
    gpu: bool = True,
    pi: bool = True,
    scored: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Make a valid report.

    made: the targets; threads: a row of each for every number; gpu: whether there is a row of a
    GPU that wasn't there; pi: whether a row of a Raspberry Pi is merged; scored: whether captions
    were scored; seed: of the noise.
    """
    chance = random.Random(seed)
    rows = [empty_row("gpu", None, error=NO_GPU)] if gpu else []
    for count in threads:
        own = [measured_row(item, count, chance, scored=scored) for item in made]
        _add_ratios(own, {item.target for item in made if item.baseline})
        rows += own
    machine = {
        "cpu": "Intel(R) Xeon(R) Processor",
        "cores": 2,
        "cores_allowed": 2,
        "flags": ["avx2", "fma", "avx512_vnni"],
        "memory_mb": 25276,
        "architecture": "x86_64",
        "system": "Linux-6.1-x86_64-with-glibc2.36",
        "python": "3.11.7",
        "versions": {"edgecap": "0.1.0", "numpy": "2.4.6", "ai-edge-litert": "2.3.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
    }
    devices: dict[str, Any] = {"this machine": machine}
    if pi:
        rows.append(pi_row())
        devices[PI] = {"model": PI, "cpu": "Cortex-A76", "cores": 4, "architecture": "aarch64"}
    return {
        "schema": "edgecap-bench/2",
        "captioner": "mobilenet-lstm",
        "started": "2026-11-25T04:49:26+00:00",
        "seconds": 2610.5,
        "command": "bench/latency.py mobilenet-lstm --data flickr8k --threads 1,2 -o report",
        "interrupted": False,
        "settings": {
            "threads": list(threads),
            "environment": {"OMP_NUM_THREADS": str(threads[-1])},
            "searches": ["greedy", "beam 3"],
            "rounds": ROUNDS,
            "most_rounds": 2 * ROUNDS,
            "seed": 0,
            "photos": [f"photo{place}.jpg" for place in range(PHOTOS)],
            "split": "dev" if scored else None,
            "quality_images": 1000 if scored else 0,
            "calibration": {
                "photographs": "flickr8k's train split",
                "images_at_most": 128,
                "seed": 0,
            },
        },
        "machine": machine,
        "devices": devices,
        "disturbance": {
            "load_before": [0.1, 0.2, 0.4],
            "load_after": [2.1, 2.2, 1.9],
            "steal_percent": 0.01,
            "others_percent": 1.5,
            "frequency_mhz_before": 2900.0,
            "frequency_mhz_after": 2899.5,
            "throttled_before": None,
            "throttled_after": None,
            "temperature_c_before": None,
            "temperature_c_after": None,
            "disturbed": False,
            "why": [],
        },
        "import_cost": {
            "tflite": {
                "base_ms": 94.7,
                "with_runtime_ms": 119.7,
                "difference_ms": 26.0,
                "inside_ms": 21.9,
                "repeats": 7,
            },
            "onnx": {"error": "importing failed"},
        },
        "rows": rows,
    }


def empty_row(
    target: str, threads: int | None, device: str = "this machine", error: str | None = None
) -> dict[str, Any]:
    """Make a row of which nothing is known, because of the error."""
    nothing = (
        *("recipe", "floor_of", "kind", "file_mb", "parity", "import_ms", "load_ms"),
        *("cold_start_ms", "prepare_ms", "encode_ms", "words_ms", "per_word_ms", "steps"),
        *("cpu_ms", "throughput", "energy_j", "peak_mb", "peak_over_bare_mb", "same_words"),
    )
    return {
        "target": target,
        "threads": threads,
        "device": device,
        "error": error,
        "disturbed": False,
        "files": [],
        "photos": 0,
        "caption_ms": {},
        "words_by_steps": {},
        "quality": {},
        "ratios": {
            **dict.fromkeys(("over_bare", "cold_over_bare", "saturated_over_bare")),
            "beam_over_greedy": {},
            "faster_than": {},
        },
        "samples": {},
        **dict.fromkeys(nothing),
    }


def measured_row(
    made: Made, threads: int, chance: random.Random, *, scored: bool = True
) -> dict[str, Any]:
    """Make a row as if each round had captioned each photograph."""
    samples: dict[str, list[Any]] = {
        name: []
        for name in (
            *("round", "photo", "beam", "prepare_ms", "encode_ms", "words_ms", "caption_ms"),
            *("cpu_ms", "steps"),
        )
    }
    faster = 1.0 if threads == 1 else 0.6
    for turn in range(ROUNDS):
        slower = 1 + chance.gauss(0, made.noise)
        for photo in range(PHOTOS):
            for beam in made.beams:
                steps = made.steps[photo]
                once = slower * (1 + abs(chance.gauss(0, made.noise)))
                words = steps * (made.word + made.growth * (steps + 1) / 2) * (1 + 0.3 * (beam > 1))
                parts = (2.8 * once, made.encode * faster * once, words * faster * once)
                for name, value in zip(
                    samples,
                    (turn, photo, beam, *parts, sum(parts) + 0.1, sum(parts) * threads, steps),
                    strict=True,
                ):
                    samples[name].append(round(value, 4))
    greedy = [place for place, beam in enumerate(samples["beam"]) if beam == 1]

    def of(name: str) -> dict[str, float]:
        return _summary([samples[name][place] for place in greedy])

    per_word = [samples["words_ms"][at] / samples["steps"][at] for at in greedy]
    by_steps: dict[str, list[float]] = {}
    for at in greedy:
        by_steps.setdefault(str(samples["steps"][at]), []).append(samples["words_ms"][at])
    searches = {1: "greedy", 3: "beam 3"}
    suffix = "tflite" if "tflite" in made.target else "onnx" if "onnx" in made.target else "h5"
    name = f"mobilenet-lstm-{made.target.rpartition(':')[2].replace('bare ', '')}.{suffix}"
    return {
        **empty_row(made.target, threads),
        "recipe": made.target.partition(":")[2] or None,
        "floor_of": made.floor_of,
        "kind": made.kind,
        "files": [
            {
                "name": name,
                "bytes": int(made.size * 1e6),
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
            }
        ],
        "file_mb": made.size,
        "import_ms": 90.0,
        "load_ms": made.size * 0.6,
        "cold_start_ms": _summary([made.cold * (1 + chance.random() * 0.03) for _ in range(5)]),
        **{key: of(key) for key in ("prepare_ms", "encode_ms", "words_ms", "steps", "cpu_ms")},
        "per_word_ms": _summary(per_word),
        "words_by_steps": {
            steps: percentile(values, 50)
            for steps, values in sorted(by_steps.items(), key=lambda item: int(item[0]))
        },
        "caption_ms": {searches[beam]: _captions(samples, beam) for beam in made.beams},
        "photos": PHOTOS,
        "throughput": {
            "one_stream_per_s": 1e3 / of("caption_ms")["p50"],
            "saturated_per_s": None if made.floor_of else 1.4e3 / of("caption_ms")["p50"],
            "how": None if made.floor_of else "caption_batch",
        },
        "peak_mb": made.peak,
        "peak_over_bare_mb": 2.3 if made.target.startswith("tflite") else None,
        "same_words": {"as": "keras", "photos": PHOTOS, "same": round(PHOTOS * made.same)},
        "quality": {}
        if not scored or made.floor_of
        else {searches[beam]: quality(made, beam) for beam in made.beams},
        "samples": samples,
    }


def quality(made: Made, beam: int) -> dict[str, Any]:
    """Make the scores of a search."""
    share = made.bleu4 / METRICS["bleu4"] * (0.98 if beam > 1 else 1)
    scores = {
        key: {"value": share * value, "low": 0.96 * share * value, "high": 1.04 * share * value}
        for key, value in METRICS.items()
    }
    lost = made.bleu4 / METRICS["bleu4"] - 1
    return {
        "images": 1000,
        **scores,
        "token_exact": made.same,
        "words_mean": 8.73,
        "distinct": 442,
        "against": None
        if made.target == "keras"
        else {
            "target": "keras",
            **{
                key: {
                    "difference": lost * value,
                    "low": (lost - 0.008) * value,
                    "high": (lost + 0.008) * value,
                    "p": 1.0 if lost == 0 else 0.03 if abs(lost) < 0.02 else 0.0001,
                }
                for key, value in METRICS.items()
            },
        },
    }


def pi_row() -> dict[str, Any]:
    """Make a row that was recorded on a Raspberry Pi, which tells less."""
    whole = {"p50": 21.4, "p90": 23.9, "p99": 27.0, "max": 31.5, "count": 60}
    return {
        **empty_row("tflite:static-int8", 2, PI),
        "recipe": "static-int8",
        "kind": "step",
        "files": [{"name": "captioner.tflite", "bytes": 7_500_000, "sha256": "0" * 64}],
        "file_mb": 7.5,
        "load_ms": 9.0,
        "prepare_ms": {**whole, "p50": 8.1, "p90": 8.4},
        "encode_ms": {**whole, "p50": 11.0, "p90": 12.0},
        "words_ms": {**whole, "p50": 2.2, "p90": 2.6},
        "per_word_ms": {**whole, "p50": 0.24, "p90": 0.26},
        "steps": {**whole, "p50": 9, "p90": 11},
        "caption_ms": {"greedy": {**whole, "p50_interval": None, "noisy": False}},
        "photos": 14,
        "throughput": {"one_stream_per_s": 46.7, "saturated_per_s": None, "how": None},
        "energy_j": 0.09,
        "peak_mb": 61.0,
        "disturbed": True,
    }


def _captions(samples: Mapping[str, Sequence[Any]], beam: int) -> dict[str, Any]:
    rounds: dict[int, list[float]] = {}
    for place, width in enumerate(samples["beam"]):
        if width == beam:
            rounds.setdefault(samples["round"][place], []).append(samples["caption_ms"][place])
    whole = _summary([value for values in rounds.values() for value in values])
    low, high = median_interval(list(rounds.values()), 0)
    return {**whole, "p50_interval": [low, high], "noisy": high - low > NOISY * whole["p50"]}


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {**summary(values), "max": max(values)}


def _add_ratios(rows: Sequence[dict[str, Any]], baselines: set[str]) -> None:
    medians = {row["target"]: row["caption_ms"]["greedy"]["p50"] for row in rows}
    for row in rows:
        own = medians[row["target"]]
        if row["floor_of"]:
            continue
        floor = medians.get(f"bare {row['target']}")
        beam = row["caption_ms"].get("beam 3")
        row["ratios"] = {
            "over_bare": own / floor if floor else None,
            "cold_over_bare": 1.15 if floor else None,
            "saturated_over_bare": 0.96 if floor else None,
            "beam_over_greedy": {"3": beam["p50"] / own} if beam else {},
            "faster_than": {
                name: medians[name] / own for name in sorted(baselines) if name != row["target"]
            },
        }
