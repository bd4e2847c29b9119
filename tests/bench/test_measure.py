"""The benchmark with workers that only pretend: turns, floors, crashes, an interrupt."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecap_bench.benchmark import Benchmark, Effort
from edgecap_bench.measure import Bench, Row, Timed
from edgecap_bench.process import WorkerError, WorkerProcess, thread_settings
from edgecap_bench.record import Record
from edgecap_bench.targets import Plan
from edgecap_bench.worker import peak_memory_mb
from edgecap_runtime.errors import OptionError

MakePlan = Callable[..., Plan]
PHOTOS = [Path("one.jpg"), Path("two.jpg")]


def _silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def _measure(plans: list[Plan], logs: Path, rounds: int = 3, timeout_s: float = 30) -> Bench:
    bench = Bench(
        [Row(plan) for plan in plans],
        PHOTOS,
        beams=[1, 3],
        threads=1,
        logs=logs,
        timeout_s=timeout_s,
    )
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


@contextmanager
def _all_stages(name: str) -> Iterator[Callable[[int, int], None]]:
    yield _silent


def _benchmark(
    passes: Sequence[tuple[Plan, ...]], out: Path, rounds: int, **changes: Any
) -> Benchmark:
    return Benchmark(
        captioner="pretended",
        passes=tuple(passes),
        run=None,
        photos=tuple(PHOTOS),
        images=(),
        split=None,
        threads=tuple(range(1, len(passes) + 1)),
        beams=(1, 3),
        effort=Effort(rounds, rounds, cold_starts=2, saturating=6, import_repeats=1),
        seed=0,
        out=out,
        **changes,
    )


def test_each_number_of_threads_has_its_own_rows(fake_plan: MakePlan, tmp_path: Path) -> None:
    passes = [
        (fake_plan("target", threads=1), fake_plan("floor", floor_of="target", threads=1)),
        (fake_plan("target", threads=2), fake_plan("on gpu")),
    ]
    report = _benchmark(passes, tmp_path, rounds=2).measure(_all_stages)
    assert report["settings"]["threads"] == [1, 2]
    rows = report["rows"]
    assert [(row["target"], row["threads"]) for row in rows] == [
        ("target", 1), ("floor", 1), ("target", 2), ("on gpu", None),
    ]  # fmt: skip
    for row in rows:
        assert row["cold_start_ms"]["count"] == 2
        assert row["cpu_ms"]["p50"] == 9
        assert row["throughput"]["saturated_per_s"] == pytest.approx(6 / 0.5)
        assert row["throughput"]["one_stream_per_s"] == pytest.approx(1e3 / 6.5)
        assert row["words_by_steps"] == {"3": 3.0}
        assert row["device"] in report["devices"]
    assert rows[0]["ratios"]["over_bare"] is not None
    assert rows[0]["ratios"]["cold_over_bare"] > 0
    assert rows[0]["ratios"]["saturated_over_bare"] == 1
    assert rows[2]["ratios"]["over_bare"] is None  # its floor has other threads


def test_only_the_same_benchmark_is_resumed(fake_plan: MakePlan, tmp_path: Path) -> None:
    plans = (fake_plan("first"),)
    with pytest.raises(OptionError, match="nothing to resume"):
        replace(_benchmark([plans], tmp_path, 2), resume=True).measure(_all_stages)
    benchmark = _benchmark([plans], tmp_path, 2)
    Record(tmp_path / "measured.json", benchmark._fingerprint()).write([Row(plans[0])])
    other = replace(_benchmark([plans], tmp_path, 3), resume=True)
    with pytest.raises(OptionError, match=r"another rounds \(2, not 3\)"):
        other.measure(_all_stages)


def test_noisy_rows_take_more_rounds(tmp_path: Path, fake_plan: MakePlan) -> None:
    bench = Bench([Row(fake_plan("even"))], PHOTOS, beams=[1], threads=1, logs=tmp_path)
    jumpy = [5.0, 50.0, 7.0, 500.0, 9.0, 9.0]
    with bench:
        bench.start(_silent)
        row = bench.rows[0]
        row.timed = [
            Timed(place, 0, 1, replace(row.said[0, 1], caption_ms=ms))
            for place, ms in enumerate(jumpy)
        ]
        bench.measure(6, 0, _silent, most=8)
        assert {item.round for item in row.timed} == set(range(8))
        row.timed = [
            Timed(place, 0, 1, replace(row.said[0, 1], caption_ms=6.5)) for place in range(6)
        ]
        bench.measure(6, 0, _silent, most=8)
        assert {item.round for item in row.timed} == set(range(6))


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

    plans = (fake_plan("first"), fake_plan("second"))
    report = _benchmark([plans], tmp_path, rounds=5).measure(stages)
    assert report["interrupted"]
    counts = sorted(len(row["samples"]["round"]) for row in report["rows"])
    assert counts == [4, 8]  # three turns of four captions
    assert report["rows"][0]["caption_ms"]["greedy"]["p50"] == 6.5
    # ... and the rest is measured later.
    resumed = replace(_benchmark([plans], tmp_path, rounds=5), resume=True)
    report = resumed.measure(_all_stages)
    assert not report["interrupted"]
    for row in report["rows"]:
        assert row["samples"]["round"] == [place for place in range(5) for _ in range(4)]
    assert not (tmp_path / "measured.json").exists()


def test_every_library_gets_the_same_threads() -> None:
    settings = thread_settings(3)
    counts = {name: value for name, value in settings.items() if "THREADS" in name}
    assert len(counts) >= 5
    assert set(counts.values()) == {"3"}


def test_workers_keep_byte_code_though_this_process_does_not() -> None:
    told = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ask = (sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)")

    def answer(environment: dict[str, str]) -> str:
        return subprocess.run(ask, env=environment, capture_output=True, text=True).stdout.strip()

    assert answer(told) == "True"
    assert answer({**told, **thread_settings(1)}) == "False"


def test_memory_is_a_workers_own(tmp_path: Path) -> None:
    """Not what this process holds when it starts one, which `ru_maxrss` would count."""
    ballast = bytearray(b"x" * 300_000_000)
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
