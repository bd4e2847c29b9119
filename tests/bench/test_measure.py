"""The benchmark with workers that only pretend: turns, floors, crashes, an interrupt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.benchmark import Benchmark
from edgecap_bench.measure import Bench
from edgecap_bench.process import WorkerError, WorkerProcess, thread_settings
from edgecap_bench.targets import Plan
from edgecap_bench.worker import peak_memory_mb

MakePlan = Callable[..., Plan]
PHOTOS = [Path("one.jpg"), Path("two.jpg")]


def _silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def _measure(plans: list[Plan], logs: Path, rounds: int = 3, timeout_s: float = 30) -> Bench:
    bench = Bench(plans, PHOTOS, beams=[1, 3], threads=1, logs=logs, timeout_s=timeout_s)
    with bench:
        bench.start(_silent)
        bench.measure(rounds, 0, _silent)
        bench.weigh()
    return bench


def test_every_photo_is_timed_by_each_search_in_each_round(
    fake_plan: MakePlan, requests_of: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    (row,) = _measure([fake_plan("quick")], tmp_path).rows
    assert row.error is None
    assert (row.import_ms, row.load_ms, row.peak_mb) == (1.0, 2.0, 40.0)
    places = [(item.round, item.photo, item.beam) for item in row.timed]
    wanted = [(0, 1), (0, 3), (1, 1), (1, 3)]
    assert places == [(turn, *place) for turn in range(3) for place in wanted]
    # Warm-up: once through before the rounds, and one caption at the beginning of each turn.
    assert len(requests_of("quick")) == 4 + 3 * (1 + 4)


def test_slow_targets_time_fewer_photos_and_greedy_ones_no_beam(
    fake_plan: MakePlan, tmp_path: Path
) -> None:
    (row,) = _measure([fake_plan("slow", photos=1, beams=False)], tmp_path).rows
    assert {(item.photo, item.beam) for item in row.timed} == {(0, 1)}


def test_a_floor_is_fed_the_words_of_its_target(
    fake_plan: MakePlan, requests_of: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    floor = fake_plan("floor", floor_of="target", beams=False)
    _measure([floor, fake_plan("target")], tmp_path)
    requests = requests_of("floor")
    assert [item["ids"] for item in requests[:2]] == [None, None]  # shows its own words first
    assert all(item["ids"] == [4, 5] for item in requests[2:])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("kill", "ended by SIGKILL"),
        ("exit", "ended with exit status 1: MemoryError: out of memory"),
        ("hang", "no answer within 2 s"),
        ("refuse", "no such photograph"),
    ],
)
def test_a_target_that_fails_says_so_and_the_rest_goes_on(
    fault: str, said: str, fake_plan: MakePlan, tmp_path: Path
) -> None:
    plans = [fake_plan("good"), fake_plan("bad", fault), fake_plan("other")]
    bench = _measure(plans, tmp_path, timeout_s=2 if fault == "hang" else 30)
    good, bad, other = bench.rows
    assert bad.error is not None
    assert said in bad.error
    for row in (good, other):
        assert row.error is None
        assert len(row.timed) == 3 * 4
    # The fifth caption is the first of the first turn: what the warm-up said is kept.
    assert len(bad.said) == (0 if fault == "refuse" else 4)


def test_a_program_that_is_not_there_is_a_rows_error(tmp_path: Path) -> None:
    (row,) = _measure([Plan("gone", (), command=("/no/such/program",))], tmp_path).rows
    assert row.error is not None
    assert "/no/such/program" in row.error


def test_an_interrupt_keeps_what_was_measured(fake_plan: MakePlan, tmp_path: Path) -> None:
    @contextmanager
    def stages(name: str) -> Iterator[Callable[[int, int], None]]:
        def report(done: int, total: int) -> None:
            if name == "measuring" and done == 3:
                raise KeyboardInterrupt

        yield report

    report = Benchmark(
        captioner="pretended",
        plans=(fake_plan("first"), fake_plan("second")),
        run=None,
        photos=tuple(PHOTOS),
        images=(),
        threads=1,
        beams=(1, 3),
        rounds=5,
        import_repeats=1,
        seed=0,
        out=tmp_path,
    ).measure(stages)
    assert report["interrupted"]
    counts = sorted(len(row["samples"]["round"]) for row in report["rows"])
    assert counts == [4, 8]  # three turns of four captions
    assert report["rows"][0]["caption_ms"]["greedy"]["p50"] == 6.5


def test_every_library_gets_the_same_threads() -> None:
    settings = thread_settings(3)
    counts = {name: value for name, value in settings.items() if "THREADS" in name}
    assert len(counts) >= 5
    assert set(counts.values()) == {"3"}


def test_memory_is_a_workers_own(tmp_path: Path) -> None:
    """Not what this process holds when it starts one, which `ru_maxrss` would count."""
    ballast = bytearray(b"x" * 300_000_000)
    import sys

    worker = WorkerProcess(
        (sys.executable, "-P", "-m", "edgecap_bench.worker"), {}, tmp_path / "log", 30
    )
    try:
        peak = worker.ask("memory")["peak_mb"]
        with pytest.raises(WorkerError, match="asked to caption before"):
            worker.ask("caption", photo="none.jpg")
    finally:
        worker.close()
    assert len(ballast) == 300_000_000
    assert 5 < peak < 100
    assert peak_memory_mb() > 300
