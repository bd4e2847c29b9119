"""The golden files of the JavaScript tests still say what the Python runtime says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import PIL
import pytest

HERE = Path(__file__).parent


def golden_maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MAKER = golden_maker()


def assert_same(found: Any, wanted: Any, where: str) -> None:
    """Compare, numbers that are not whole within what two processors may differ by."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for name, value in wanted.items():
            assert_same(found[name], value, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for place, value in enumerate(wanted):
            assert_same(found[place], value, f"{where}[{place}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=1e-5), where
    else:
        assert found == wanted, where


@pytest.mark.parametrize("name", MAKER.PARTS)
def test_golden_file_is_of_this_runtime(name: str) -> None:
    if name in ("resampling", "samples") and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 resizes tall pictures in another order")
    made = json.loads(json.dumps(MAKER.PARTS[name](MAKER.GOLDEN)))
    wanted = json.loads((MAKER.GOLDEN / f"{name}.json").read_text("utf-8"))
    assert_same(made, wanted, name)


def test_pictures_are_those_that_are_written(tmp_path: Path) -> None:
    MAKER.write_pictures(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in (MAKER.GOLDEN / "pictures").iterdir())
