"""Timing: what other programs take is told apart from our own work."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edgecap import timing
from edgecap.timing import OtherWork


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Clocks to be set: seconds that passed, and that others' programs ran, of 2 processors."""
    now = {"wall": 100.0, "others": 5.0}
    monkeypatch.setattr(time, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(timing, "_seconds_of_others", lambda: now["others"])
    monkeypatch.setattr(timing, "_processors", lambda: 2)
    return now


def test_the_share_of_others(clocks: dict[str, float]) -> None:
    others = OtherWork()
    assert others.share == 0
    assert others.note() is None
    with others.watched():
        clocks["wall"] += 10
        clocks["others"] += 1
    clocks["others"] += 50  # not watched
    assert others.share == pytest.approx(0.05)
    assert others.note() is None
    with others.watched():
        clocks["wall"] += 10
        clocks["others"] += 9
    assert others.share == pytest.approx(0.25)
    assert "other programs took 25% of this machine's processors" in str(others.note())
    # Counters have ticks, so that ours may run ahead of the machine's.
    with others.watched():
        clocks["wall"] += 1000
        clocks["others"] -= 0.01
    assert others.share < 0.01


def test_another_program_is_seen() -> None:
    before = timing._seconds_of_others()
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(1)
    finally:
        other.kill()
        other.wait()
    assert timing._seconds_of_others() - before > 0.1
