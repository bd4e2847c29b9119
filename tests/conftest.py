"""What all tests share: which files come first, and results that both workers of a run use."""

from __future__ import annotations

import os

# Each worker of pytest-xdist has one core: a pool of OpenBLAS' threads would only spin in its way.
# Before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import fcntl
import hashlib
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("edgecap", deadline=None)
hypothesis.settings.load_profile("edgecap")

LONGEST_FIRST = (
    "edgecap/test_training.py",
    "edgecap/test_training_phases.py",
    "edgecap/test_shipped.py",
    "bench/test_systems.py",
    "edgecap/test_commands.py",
    "edgecap/test_importing_exported.py",
    "edgecap/test_importing.py",
    "export/test_tflite_recipes.py",
    "export/test_search_inside.py",
    "edgecap/test_pooling.py",
    "bench/test_decoders.py",
    "edgecap/test_attention.py",
    "export/test_one_call.py",
    "edgecap/test_importing_command.py",
    "bench/test_whole_run.py",
    "export/test_prefix_export.py",
    "edgecap/test_encoders.py",
    "bench/test_recipes.py",
    "edgecap/test_tuning.py",
    "export/test_parity.py",
    "edgecap/test_importing_containers.py",
    "export/test_export.py",
    "edgecap/test_naming.py",
    "export/test_onnx_recipes.py",
    "edgecap/test_cards.py",
    "edgecap/test_sensitivity.py",
    "export/test_blocks.py",
    "bench/test_processors.py",
    "runtime/test_wheel.py",
)
"""Files that take half a minute and more, the longest first: no worker waits for one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files come first; the others stay in their order behind them."""
    order = {name: index for index, name in enumerate(LONGEST_FIRST)}
    tests = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(tests).as_posix(), len(order)))


Once = Callable[[str, Callable[[Path], Any]], Any]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a thing once per run of pytest, however many workers ask for it.

    Called with a key that says all that the thing depends on, and a function that makes it in an
    empty folder; returns a copy of what that function returned. Nobody may change its files.
    """
    base = tmp_path_factory.getbasetemp()
    # Workers have folders of their own in the run's.
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"

    def make_once(key: str, make: Callable[[Path], Any]) -> Any:
        folder = shared / hashlib.sha256(key.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / "made.pickle"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                value = make(Path(tempfile.mkdtemp(dir=folder)))
                made.write_bytes(pickle.dumps(value))
        return pickle.loads(made.read_bytes())

    return make_once
