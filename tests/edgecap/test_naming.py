"""A second objective for an encoder: which words people use of a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import xlogy

from edgecap.training.joint import Joint
from edgecap.training.naming import Naming, named_words
from edgecap.training.session import TrainingSession
from edgecap_runtime.vocabulary import Vocabulary

from .conftest import TINY_SETTINGS

VOCABULARY = Vocabulary(
    ("<pad>", "<s>", "</s>", "<unk>", "a", "dog", "cat"),
    1,
    2,
    padding_id=0,
    unknown_id=3,
    never_said=(0, 1, 3),
)
CAPTIONS = [
    [["a", "dog", "a", "dog"], ["dog"], ["zebra"], ["cat"]],
    [["a"], ["a", "cat"], ["a", "zebra"], ["a"]],
]


def test_shares_count_captions_not_words() -> None:
    shares = named_words(CAPTIONS, VOCABULARY)
    assert shares.dtype == np.float32
    np.testing.assert_array_equal(shares, [[0, 0, 0, 0, 0.25, 0.5, 0.25], [0, 0, 0, 0, 1, 0, 0.25]])


def test_it_begins_at_the_entropy_of_the_mean() -> None:
    shares = np.array([[0.2, 0.6], [0.4, 0.2]], np.float32)
    mean = shares.mean(axis=0)
    features = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    entropy = -(xlogy(mean, mean) + xlogy(1 - mean, 1 - mean)).sum() / mean.sum()
    assert float(Naming(3.0, mean)(features, shares)) == pytest.approx(3 * entropy, rel=1e-5)


def test_words_that_nobody_uses_do_no_harm() -> None:
    shares = named_words(CAPTIONS, VOCABULARY)
    naming = Naming(1.0, shares.mean(axis=0))
    assert np.isfinite(float(naming(np.full((2, 3), 1e4, np.float32), shares)))


@pytest.mark.parametrize("weight", [0, 2])
def test_an_encoder_learns_to_name(
    tiny_data: Path, tiny_weights: Path, tmp_path: Path, weight: float
) -> None:
    settings = (
        *TINY_SETTINGS,
        "training.epochs=1",
        "training.tune_epochs=3",
        "training.tune_images=8",
        "training.tune_rate=0.003",
        "training.reward_epochs=0",
        f"training.tune_naming={weight}",
    )
    session = TrainingSession.open(tiny_data, settings=settings, minimum_count=1)
    session.encode(tiny_weights, cache=tmp_path / "cache")
    trainer = session.trainer(tmp_path / "run")
    seen: list[Joint] = []

    def look(epoch: int, done: int, total: int) -> None:
        if epoch == 1:
            return
        model: Any = trainer._phase and trainer._phase.model
        seen.append(model)

    trainer.run(on_batch=look)
    assert all((model.naming is not None) == bool(weight) for model in seen)
    if weight:
        kernel = np.array(seen[-1].naming.words.kernel)
        assert np.abs(kernel).max() > 1e-3
    # What is kept is the captioner alone.
    names = [path.name for path in (tmp_path / "run").iterdir()]
    assert not any("naming" in name for name in names)
    assert session.captioner is not None
    assert session.captioner.encoder.output_shape == (None, 256)
