"""The library and the app in a real browser: the tests of `npm test`, a file at a time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools import ROOT

from edgecap_bench.emulation.programs import WEB, no_browser

pytestmark = pytest.mark.browser

FILES = sorted((ROOT / "tests" / "web").glob("*.test.js"))


@pytest.fixture(autouse=True)
def _browser() -> None:
    reason = no_browser()
    if reason is not None:
        pytest.skip(reason)


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=WEB,
        env={**os.environ, "EDGECAP_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == 0, f"{command[0]} failed with status {done.returncode}:\n{said}"
    return done.stdout


def test_types() -> None:
    run("npm", "run", "types")


def test_there_are_tests() -> None:
    assert {"app.test.js", "library.test.js", "onnx.test.js"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_in_a_browser(path: Path) -> None:
    said = run("node", "--test", "--test-reporter=tap", path)
    counts = dict(re.findall(r"^# (tests|pass|skipped) (\d+)$", said, re.MULTILINE))
    # All that they need is here, so a test that was skipped is one that didn't run.
    assert counts["skipped"] == "0", said
    assert counts["tests"] == counts["pass"] != "0", said
