"""What a caption needs of a Zero 2's 512 MB; measured natively: emulated memory says nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's VmHWM"),
]

MOST_MB = 130.0
LIMIT_BYTES = 200_000_000
CGROUPS = Path("/sys/fs/cgroup")

CAPTION = (
    "import sys\n"
    "from edgecap_runtime.cli import main\n"
    "from edgecap_runtime.device.memory import peak_resident_mb\n"
    "status = main(['caption', *sys.argv[1:]])\n"
    "print(peak_resident_mb())\n"
    "sys.exit(status)"
)


@pytest.fixture(scope="module")
def progressive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A progressive JPEG of 4000 x 3000 with a camera's noise and halved chroma.

    Its decoder keeps all coefficients in memory, 3 bytes a pixel, at whatever scale it decodes.
    """
    chance = np.random.default_rng(1)
    cells = chance.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    smooth = Image.fromarray(cells).resize((4000, 3000), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth, np.int16) + chance.normal(0, 6, (3000, 4000, 3)).astype(np.int16)
    path = tmp_path_factory.mktemp("large") / "progressive.jpg"
    picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    picture.save(path, quality=90, progressive=True)
    return path


def caption(file: Path, photo: Path, *before: str) -> float:
    """Caption in a fresh process; gives its peak resident memory, MB."""
    done = subprocess.run(
        [*before, sys.executable, "-c", CAPTION, str(file), str(photo)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    said, peak = done.stdout.splitlines()
    assert said.startswith(f"{photo}: ")
    assert len(said.split()) > 3
    return float(peak)


def test_peak_resident_memory(captioners: Path, progressive: Path) -> None:
    peak = caption(captioners / "static-int8.tflite", progressive)
    # More than the coefficients of the picture, or it wasn't decoded.
    assert 50 < peak <= MOST_MB


def test_within_200_mb(captioners: Path, progressive: Path) -> None:
    """In a control group that has 200 MB for the interpreter, the file's pages and all else."""
    with limited(LIMIT_BYTES) as members:
        # The shell joins the group and becomes the process that captions.
        join = ("sh", "-c", f'echo $$ > {members} && exec "$@"', "sh")
        caption(captioners / "static-int8.tflite", progressive, *join)


def test_the_limit_is_real() -> None:
    with limited(LIMIT_BYTES) as members:
        join = ("sh", "-c", f'echo $$ > {members} && exec "$@"', "sh")
        greedy = "x = bytearray(b'x' * 300_000_000)"
        done = subprocess.run([*join, sys.executable, "-c", greedy], check=False)
    assert done.returncode != 0


@contextlib.contextmanager
def limited(most: int) -> Iterator[Path]:
    """Make a control group with this much memory, version 2 or 1; gives the file of its members."""
    second = (CGROUPS / "cgroup.controllers").exists()
    parent = CGROUPS if second else CGROUPS / "memory"
    group = parent / f"edgecap-test-{os.getpid()}"
    limit = group / ("memory.max" if second else "memory.limit_in_bytes")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"can't make a control group ({error.strerror}); it takes root")
    try:
        try:
            limit.write_text(str(most))
        except OSError as error:
            pytest.skip(f"can't limit a control group's memory ({error.strerror})")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
