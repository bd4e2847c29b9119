from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap_bench.statistics import median_interval, percentile, ratio_of_photos, summary

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def test_percentile_by_hand() -> None:
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([10, 20, 30], 90) == pytest.approx(28)
    assert percentile([7], 99) == 7


@given(values=VALUES, percent=st.floats(0, 100))
def test_percentile_is_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(np.percentile(values, percent), abs=1e-6)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, percent)


def test_summary() -> None:
    values = list(range(101))
    assert summary(values) == {"p50": 50, "p90": 90, "p99": 99, "max": 100, "count": 101}


def test_interval_holds_the_median_and_narrows_with_rounds() -> None:
    rng = np.random.default_rng(0)

    def width(rounds: int) -> float:
        values = rng.normal(10, 1, (rounds, 5)).tolist()
        low, high = median_interval(values, seed=1)
        assert low <= percentile([value for some in values for value in some], 50) <= high
        assert (low, high) == median_interval(values, seed=1)
        return high - low

    assert width(80) < width(5)


def test_interval_takes_whole_rounds() -> None:
    # Each round is steady in itself but they differ: drawing single values would hide that.
    rounds = [[1.0] * 20, [1.0] * 20, [5.0] * 20, [5.0] * 20, [5.0] * 20]
    assert median_interval(rounds, seed=0) == (1.0, 5.0)
    assert median_interval([[2.0, 2.0], []], seed=0) == (2.0, 2.0)


def test_ratio_takes_the_photographs_that_both_have() -> None:
    slow = {0: [10.0, 12.0, 90.0], 1: [30.0]}
    fast = {0: [1.0], 1: [3.0, 5.0], 2: [1000.0]}
    assert ratio_of_photos(slow, fast) == pytest.approx((12 + 30) / (1 + 4))
    assert ratio_of_photos(slow, {2: [1.0]}) is None
    assert ratio_of_photos({}, fast) is None
    assert ratio_of_photos({0: [1.0]}, {0: [0.0]}) is None
