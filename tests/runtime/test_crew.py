"""Several workers at once: order, laziness, errors, and each worker in one thread at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_runtime.crew import in_order


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4))
def test_results_come_in_order_and_no_worker_is_in_two_threads(
    things: list[int], workers: int
) -> None:
    busy = [threading.Lock() for _ in range(workers)]

    def work(worker: int, thing: int) -> int:
        assert busy[worker].acquire(blocking=False)
        time.sleep(thing / 2000)
        busy[worker].release()
        return thing * 2

    assert list(in_order(range(workers), work, things)) == [thing * 2 for thing in things]


def test_things_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(len(taken))
            yield taken[-1]

    results = in_order([None, None], lambda worker, thing: thing, endless())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 5
    results.close()  # type: ignore[attr-defined]


def test_the_first_error_ends_it() -> None:
    begun: list[int] = []

    def work(worker: None, thing: int) -> int:
        begun.append(thing)
        if thing == 3:
            raise ValueError("three")
        return thing

    results = in_order([None], work, range(100))
    with pytest.raises(ValueError, match="three"):
        list(results)
    assert len(begun) < 10
