"""The emulated devices: skipped unless `make test-devices` set them up and asks for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tests share `emulated`; with pytest's importlib mode a folder isn't importable by itself.
sys.path.insert(0, str(Path(__file__).parent))

from emulated import BOARDS, FOLDER, FULL, SUITES, WANTED, Pi
from PIL import Image, ImageOps

SAMPLES = Path(__file__).parents[2] / "edgecap" / "samples"
QUICK_PHOTOS = ("german-shepherd.jpg", "people-at-city-gate.jpg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents or not {"emulated", "native"} & set(item.keywords):
            continue
        if not WANTED:
            reason = "devices: run `make test-devices` (README says what it needs)"
            item.add_marker(pytest.mark.skip(reason))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "emulated: runs arm64 programs under qemu")
    config.addinivalue_line("markers", "native: measures this machine with what prepare.py made")


@pytest.fixture(
    params=[(suite, core) for suite in SUITES for core in BOARDS], ids=" ".join, scope="session"
)
def pi(request: pytest.FixtureRequest) -> Pi:
    """Each board with each system that was set up."""
    suite, core = request.param
    if suite != "bookworm" and not FULL:
        pytest.skip(f"{suite}: run `make test-devices EDGECAP_DEVICES=full`")
    return Pi(suite, core)


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
    """The folder of the four files."""
    return FOLDER / "captioners"
