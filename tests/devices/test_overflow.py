"""Integer products of the kinds that edgecap exports are right on every x86-64.

Extreme weights and activations against plain integers in numpy. Where 16-bit sums saturate, which
pairs of weights they add is an order of ONNX Runtime's kernels, on which edgecap's rounding rests:
one of these tests fails when a version has another.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from product_models import (
    PAIRED,
    Case,
    dynamic_cases,
    litert_cases,
    static_cases,
    write_pairs,
)

from edgecap_bench.emulation.processors import PROCESSORS
from edgecap_bench.machine import processor_flags

pytestmark = [pytest.mark.emulated, pytest.mark.xdist_group("overflow")]

NAMES = ("native", "haswell", "nehalem")
SCRIPT = Path(__file__).with_name("products.py")

Models = tuple[Path, list[Case], dict[str, tuple[list[tuple[int, int]], int]]]
Answers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("products")
    cases = [*static_cases(folder), *dynamic_cases(folder), *litert_cases(folder)]
    return folder, cases, write_pairs(folder)


@pytest.fixture(scope="module")
def run(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Answers]:
    """What a processor makes of all models, in one process; skips where there is no such."""
    known: dict[str, Answers] = {}

    def answers(name: str) -> Answers:
        processor = PROCESSORS[name]
        reason = processor.missing()
        if reason is not None:
            pytest.skip(f"{name}: {reason}")
        if name not in known:
            out = tmp_path_factory.mktemp(name) / "out.npz"
            command = processor.python(SCRIPT, models[0], out)
            subprocess.run(command, env=processor.environment(), check=True, timeout=600)
            with np.load(out) as saved:
                known[name] = dict(saved)
        return known[name]

    return answers


@pytest.mark.parametrize("name", NAMES)
def test_products_are_those_of_plain_integers(
    name: str, models: Models, run: Callable[[str], Answers]
) -> None:
    _, cases, _ = models
    found = run(name)
    wrong = {}
    for case in cases:
        off = np.abs(found[case.name].astype(np.float64) - case.expected)
        if not np.all(off <= case.tolerance):
            wrong[case.name] = float((off / case.tolerance).max())
    # By how many times what is allowed.
    assert wrong == {}


@pytest.mark.parametrize("shape", PAIRED)
@pytest.mark.parametrize("name", NAMES)
def test_pairs_that_saturate_are_those_that_stand_side_by_side(
    name: str, shape: str, models: Models, run: Callable[[str], Answers]
) -> None:
    pairs, right = models[2][f"pairs-{shape}.onnx"]
    sums = run(name)[f"pairs-{shape}.onnx"]
    sums = sums.reshape(len(pairs), -1)
    saturated = {
        pair for pair, values in zip(pairs, sums, strict=True) if values.min() < 0.9 * right
    }
    adjacent = {pair for pair in pairs if pair[0] % 2 == 0 and pair[1] == pair[0] + 1}
    if shape == "depthwise" or (name == "native" and "vnni" in " ".join(processor_flags())):
        assert saturated == set()
    elif name == "haswell":
        assert saturated == adjacent
    else:
        assert saturated <= adjacent
