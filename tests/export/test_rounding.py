"""Rounding by what a layer is given: against numpy, a real convolution and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecap_export.rounding import (
    Moments,
    best_scales,
    pooled,
    round_by_moments,
    rounding_shift,
    sample_patches,
)

LARGEST = 7
seeds = st.integers(0, 2**32 - 1)
small = settings(max_examples=40, deadline=None)


def together(random: np.random.Generator, count: int, inputs: int) -> np.ndarray:
    """Vectors whose inputs go together, about a mean that is not 0."""
    mixed = random.normal(size=(count, inputs)) @ random.normal(size=(inputs, inputs))
    return (mixed + random.normal(0, 2, inputs)).astype(np.float32)


def lost(integers, weights, scales, second) -> np.ndarray:
    """What rounding changes in the outputs: the mean of its square, for each output."""
    errors = integers * scales[:, None] - weights
    return np.einsum("oi,ij,oj->o", errors, second, errors)


def nearest(weights, scales) -> np.ndarray:
    return np.clip(np.rint(weights / scales[:, None]), -LARGEST, LARGEST)


@small
@given(seeds, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_moments_are_those_of_all_vectors_at_once(seed, counts):
    random = np.random.default_rng(seed)
    groups = [together(random, count, 5) for count in counts]
    moments = Moments()
    for group in groups:
        moments.add(group, second=True)
    vectors = np.concatenate(groups).astype(np.float64)
    np.testing.assert_allclose(moments.mean, vectors.mean(axis=0), rtol=1e-5, atol=1e-5)
    near = {"rtol": 1e-4, "atol": 1e-3}
    np.testing.assert_allclose(moments.second(centred=True), np.cov(vectors.T, bias=True), **near)
    np.testing.assert_allclose(
        moments.second(centred=False), vectors.T @ vectors / len(vectors), **near
    )


def test_layers_with_the_same_weights_are_looked_at_together():
    random = np.random.default_rng(0)
    lots = [random.normal(size=(count, 4)).astype(np.float32) for count in (3, 5, 7)]
    seen = []
    for lot in lots:
        seen.append(Moments())
        seen[-1].add(lot, second=True)
    shared, other = random.normal(size=(2, 6, 4))
    (first, centred), (alone, kept), (last, _) = pooled(
        [(shared, seen[0], True), (other, seen[1], True), (shared.copy(), seen[2], False)]
    )
    assert first is last
    assert alone is seen[1]
    assert (centred, kept) == (False, True)
    both = np.concatenate([lots[0], lots[2]])
    np.testing.assert_allclose(first.mean, both.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first.second(centred=False), both.T @ both / 10, rtol=1e-5)


@small
@given(
    seed=seeds,
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    same=st.booleans(),
    count=st.sampled_from([3, 100]),
)
def test_patches_are_what_a_convolution_reads(seed, size, kernel, stride, same, count):
    random = np.random.default_rng(seed)
    image = random.normal(size=(*size, 2)).astype(np.float32)
    weights = random.normal(size=(*kernel, 2, 3)).astype(np.float32)
    padding = "SAME" if same else "VALID"
    expected = np.reshape(tf.nn.conv2d(image[None], weights, stride, padding), (-1, 3))
    patches = sample_patches(image, kernel, (stride, stride), same, random, count)
    found = patches.reshape(len(patches), -1) @ weights.reshape(-1, 3)
    distances = np.abs(found[:, None] - expected).max(axis=2)
    # Each place once at most, and all of them where there are no more than asked for.
    assert len(found) == min(count, len(expected))
    assert distances.min(axis=1).max() < 1e-4
    assert len(set(distances.argmin(axis=1))) == len(found)


@small
@given(seeds)
def test_clipping_never_costs_what_it_should_save(seed):
    random = np.random.default_rng(seed)
    weights = random.standard_t(3, (6, 20))
    weights[2] = 0
    importance = random.uniform(0, 3, 20)
    scales = best_scales(weights, importance, LARGEST)
    full = np.abs(weights).max(axis=1) / LARGEST
    full[2] = 1
    assert np.all(scales <= full)
    second = np.diag(importance)
    clipped = lost(nearest(weights, scales), weights, scales, second)
    assert np.all(clipped <= lost(nearest(weights, full), weights, full, second) + 1e-12)


def test_an_outlier_of_no_importance_is_clipped():
    weights = np.array([[1.0, 0.9, -0.8, 0.3, 2.0]])
    alike, unread = np.ones(5), np.array([1.0, 1, 1, 1, 0])
    assert best_scales(weights, unread, LARGEST)[0] < best_scales(weights, alike, LARGEST)[0]


@small
@given(seeds)
def test_inputs_that_do_not_go_together_are_rounded_to_nearest(seed):
    random = np.random.default_rng(seed)
    weights, strengths = random.normal(size=(4, 12)), random.uniform(0.1, 3, 12)
    scales = best_scales(weights, strengths, LARGEST)
    found = round_by_moments(weights, np.diag(strengths), scales, LARGEST)
    np.testing.assert_array_equal(found, nearest(weights, scales))


def test_most_of_what_nearest_loses_needlessly_is_saved():
    """The rest is what working input by input costs against trying the whole grid."""
    random = np.random.default_rng(0)
    grid = np.array(list(itertools.product(range(-3, 4), repeat=4)))
    found, plain, best = [], [], []
    for _ in range(20):
        weights = random.uniform(-1, 1, (50, 4))
        vectors = together(random, 50, 4).astype(np.float64)
        second = vectors.T @ vectors / len(vectors)
        scales = np.abs(weights).max(axis=1) / 3
        rounded = round_by_moments(weights, second, scales, 3)
        near = np.rint(weights / scales[:, None])
        every = grid[:, None] * scales[:, None] - weights
        found.append(lost(rounded, weights, scales, second))
        plain.append(lost(near, weights, scales, second))
        best.append(np.einsum("goi,ij,goj->go", every, second, every).min(axis=0))
    assert np.all(np.array(best) <= np.array(found) + 1e-9)
    assert np.mean(found) - np.mean(best) < 0.4 * (np.mean(plain) - np.mean(best))


def test_each_weight_is_rounded_to_what_makes_up_for_those_before_it():
    """More inputs than are worked on at once; brute force solves anew for each."""
    random = np.random.default_rng(0)
    inputs = 150
    weights = random.normal(size=(3, inputs))
    vectors = together(random, 400, inputs).astype(np.float64)
    second = vectors.T @ vectors / len(vectors)
    steps = random.uniform(0.2, 0.4, (3, inputs))
    found = round_by_moments(weights, second, steps, LARGEST)
    damped = second + np.eye(inputs) * 0.01 * np.diag(second).mean()
    errors = np.zeros_like(weights)
    for place in range(inputs):
        before, after = damped[:place, place:], damped[place:, place:]
        made_up = -np.linalg.solve(after, (errors[:, :place] @ before).T)[0]
        wanted = (weights[:, place] + made_up) / steps[:, place]
        expected = np.clip(np.rint(wanted), -LARGEST, LARGEST)
        np.testing.assert_array_equal(found[:, place], expected)
        errors[:, place] = expected * steps[:, place] - weights[:, place]


def test_shift_is_how_far_the_mean_of_the_outputs_moves():
    random = np.random.default_rng(1)
    vectors = together(random, 100, 8).astype(np.float64)
    weights = random.normal(size=(5, 8))
    rounded = np.rint(weights * 4) / 4
    moved = (vectors @ rounded.T - vectors @ weights.T).mean(axis=0)
    assert np.abs(moved).min() > 1e-3
    np.testing.assert_allclose(rounding_shift(weights, rounded, vectors.mean(axis=0)), moved)
