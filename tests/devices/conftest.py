"""The emulated devices: skipped unless `make test-devices` set them up and asks for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tests share `tools`; with pytest's importlib mode a folder isn't importable by itself.
sys.path.insert(0, str(Path(__file__).parent))

from PIL import Image, ImageOps
from tools import FULL, ROOT, WANTED

from edgecap_bench.emulation.programs import no_system
from edgecap_bench.emulation.systems import BOARDS, FOLDER, Pi

SAMPLES = ROOT / "edgecap" / "samples"
KINDS = {
    "emulated": "runs programs for other processors under qemu",
    "native": "measures this machine with what prepare.py made",
    "browser": "runs JavaScript in Chromium",
}
QUICK_PHOTOS = ("german-shepherd.jpg", "people-at-city-gate.jpg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents or not KINDS.keys() & set(item.keywords):
            continue
        if not WANTED:
            reason = "devices: run `make test-devices` (README says what it needs)"
            item.add_marker(pytest.mark.skip(reason))


def pytest_configure(config: pytest.Config) -> None:
    for name, what in KINDS.items():
        config.addinivalue_line("markers", f"{name}: {what}")


@pytest.fixture(params=[Pi(name, core) for core, board in BOARDS.items() for name in board.systems],
                ids=str, scope="session")  # fmt: skip
def pi(request: pytest.FixtureRequest) -> Pi:
    """Each board with each system that was set up."""
    board: Pi = request.param
    if board.system.full_run_only and not FULL:
        pytest.skip(f"{board.name}: run `make test-devices EDGECAP_DEVICES=full`")
    reason = no_system(board.system)
    if reason is not None:
        pytest.skip(reason)
    return board


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sample photographs and their mirror images; a few of them in the quick run."""
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(SAMPLES.glob("*.jpg")):
        if FULL or path.name in QUICK_PHOTOS:
            (folder / path.name).write_bytes(path.read_bytes())
        if FULL:
            with Image.open(path) as image:
                ImageOps.mirror(image).save(folder / f"mirrored-{path.name}", quality=95)
    found = sorted(folder.iterdir())
    assert len(found) == (28 if FULL else len(QUICK_PHOTOS))
    return found


@pytest.fixture(scope="session")
def captioners() -> Path:
    """The folder of the exported files."""
    return FOLDER / "captioners"
