"""Ranges of activations, by each way of taking them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgecap_export.ranges import RangeTally
from edgecap_export.recipes import RANGES

pictures = st.lists(
    arrays(np.float32, (2, 3), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=8
)


def taken(method: str, values) -> tuple[float, float]:
    tally = RangeTally(method)
    for picture in values:
        tally.add(picture)
    return tally.range()


@given(pictures)
def test_min_max_is_over_all_pictures(values):
    assert taken("min-max", values) == (np.min(values), np.max(values))


@given(pictures)
def test_moving_average_starts_at_the_first_picture_and_moves_a_twentieth(values):
    low, high = values[0].min().item(), values[0].max().item()
    for picture in values[1:]:
        low += (picture.min().item() - low) / 20
        high += (picture.max().item() - high) / 20
    assert taken("moving-average", values) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


@given(pictures, st.sampled_from(RANGES))
def test_no_range_is_wider_than_what_was_seen(values, method):
    low, high = taken(method, values)
    slack = 1e-6 * np.abs(values).max()
    assert np.min(values) - slack <= low <= high <= np.max(values) + slack


def test_percentile_leaves_out_one_value_in_many():
    random = np.random.default_rng(0)
    values = list(random.uniform(-1, 1, (60, 500)).astype(np.float32))
    values[30][7] = 1000
    low, high = taken("percentile", values)
    assert -1 <= low < -0.99
    assert 0.99 < high <= 1
    assert taken("min-max", values)[1] == 1000


def test_percentile_looks_at_every_channel():
    """One channel of 512 is larger than the rest, and pictures are kept in part."""
    random = np.random.default_rng(0)
    values = random.uniform(0, 1, (60, 10, 10, 512)).astype(np.float32)
    values[..., 3] = 5
    assert taken("percentile", values)[1] == 5


@pytest.mark.parametrize("method", RANGES)
def test_nothing_seen_is_no_range(method):
    assert taken(method, []) == (0, 0)
    assert taken(method, [np.zeros((0, 4), np.float32)]) == (0, 0)
