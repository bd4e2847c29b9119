"""Photographs that look alike, and captions that would do for them too."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.training import lookalikes
from edgecap.training.lookalikes import Lookalikes
from edgecap.training.options import TrainingOptions
from edgecap.training.reward import Reward


@given(
    st.integers(2, 60),
    st.integers(0, 2**32),
    st.sampled_from([7, 1024]),
    st.sampled_from([2, 3, 1024]),
)
def test_they_are_the_nearest_and_never_the_image_itself(
    images: int, seed: int, together: int, columns: int
) -> None:
    dice = np.random.default_rng(seed)
    features = dice.normal(size=(images, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookalikes, "_TOGETHER", together)
        patch.setattr(lookalikes, "_COLUMNS", columns)
        of_all = Lookalikes(features)
    drawn = of_all.draw(np.arange(images), dice)
    assert drawn.shape == (images, min(2, images - 1))
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    likeness = standard @ standard.T
    np.fill_diagonal(likeness, -2)
    for image, rivals in enumerate(drawn):
        assert image not in rivals
        assert len(set(rivals)) == len(rivals)
        nearest = np.sort(likeness[image])[::-1][: min(20, images - 1)]
        assert (likeness[image, rivals] >= nearest[-1] - 1e-5).all()


def test_features_that_are_all_the_same_are_no_error() -> None:
    drawn = Lookalikes(np.ones((3, 4), np.float32)).draw(np.array([0, 1, 2, 0]), _dice())
    assert drawn.shape == (4, 2)
    assert all(image not in rivals for image, rivals in zip((0, 1, 2, 0), drawn, strict=True))


def test_features_of_gigabytes_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "_COLUMNS", 512)
    features = _dice().normal(size=(200, 20_000)).astype(np.float32)
    tracemalloc.start()
    try:
        Lookalikes(features)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < features.nbytes / 4


def test_a_caption_that_would_do_for_both_is_worth_less() -> None:
    words = [
        [["a", "red", "dog", "runs", "far"]] * 5,
        [["a", "red", "dog", "sits", "down"]] * 5,
        [["some", "people", "eat"]] * 5,
    ]

    def worth(unlike: float, image: int, caption: list[str]) -> float:
        options = TrainingOptions(reward_bleu=0, reward_unlike=unlike)
        return Reward(words, options).of(image, caption, rivals=[1, 2])

    own = ["a", "red", "dog", "runs", "far"]
    shared = ["a", "red", "dog"]
    assert worth(0.5, 0, own) < worth(0, 0, own)
    kept = [worth(0.5, 0, said) / worth(0, 0, said) for said in (own, shared)]
    assert kept[0] > kept[1]
    taken = 0.5 * (worth(0, 1, shared) + worth(0, 2, shared)) / 2
    assert worth(0.5, 0, shared) == pytest.approx(worth(0, 0, shared) - taken)


def _dice() -> np.random.Generator:
    return np.random.default_rng(0)
