"""Photographs that look alike, and captions that would do for them too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.training import lookalikes
from edgecap.training.lookalikes import Lookalikes
from edgecap.training.options import TrainingOptions
from edgecap.training.self_critical import SelfCritic
from edgecap_runtime.vocabulary import Vocabulary


@given(st.integers(2, 60), st.integers(0, 2**32), st.sampled_from([7, 1024]))
def test_they_are_the_nearest_and_never_the_image_itself(
    images: int, seed: int, together: int
) -> None:
    dice = np.random.default_rng(seed)
    features = dice.normal(size=(images, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookalikes, "_TOGETHER", together)
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


def test_a_caption_that_would_do_for_both_is_worth_less() -> None:
    words = [
        [["a", "red", "dog", "runs", "far"]] * 5,
        [["a", "red", "dog", "sits", "down"]] * 5,
        [["some", "people", "eat"]] * 5,
    ]

    def critic(unlike: float) -> SelfCritic:
        options = TrainingOptions(reward_bleu=0, reward_unlike=unlike)
        vocabulary = Vocabulary(("<pad>", "<s>", "</s>"), 1, 2, padding_id=0)
        features = np.eye(3, dtype=np.float32)[None]
        made = SelfCritic(
            None,
            "captions",
            None,
            vocabulary,
            options,
            features=features,
            words=words,  # type: ignore[arg-type]
        )
        made._rivals = {0: np.array([1, 2])}
        return made

    own = ["a", "red", "dog", "runs", "far"]
    shared = ["a", "red", "dog"]
    plain, weighed = critic(0), critic(0.5)
    assert weighed._score(0, own) < plain._score(0, own)
    kept = [weighed._score(0, said) / plain._score(0, said) for said in (own, shared)]
    assert kept[0] > kept[1]
    ended = [*shared, "</s>"]
    taken = 0.5 * (weighed._consensus[1].score(ended) + weighed._consensus[2].score(ended)) / 2
    assert weighed._score(0, shared) == pytest.approx(plain._score(0, shared) - taken)


def _dice() -> np.random.Generator:
    return np.random.default_rng(0)
