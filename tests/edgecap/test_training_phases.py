"""The encoder learns with the decoder; runs begin from runs; words are read and answered anew."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.captioner import TrainedCaptioner, read_design
from edgecap.decoders import DECODERS
from edgecap.features import features_now
from edgecap.metrics import BleuJudge
from edgecap.training.checkpoint import read_checkpoint
from edgecap.training.loop import Trainer
from edgecap.training.options import TrainingOptions
from edgecap.training.reading import Reading
from edgecap.training.session import TrainingSession
from edgecap.training.teachers import Answers, Teacher
from edgecap.views import random_view
from edgecap_runtime.errors import OptionError
from edgecap_runtime.vocabulary import Vocabulary

from .conftest import TINY_SETTINGS, run_with_copies, save_with_other_words

Opener = Callable[..., TrainingSession]

TUNED = (
    "training.epochs=1",
    "training.tune_epochs=2",
    "training.tune_images=8",
    "training.tune_rate=0.001",
    "training.patience=9",
)
ALL_PHASES = (*TUNED, "training.reward_epochs=1")


def _open(data: Path, weights: Path, cache: Path, *more: str, **others: Any) -> TrainingSession:
    shape = () if "begun_from" in others else TINY_SETTINGS
    session = TrainingSession.open(data, settings=(*shape, *more), minimum_count=1, **others)
    session.encode(weights, cache=cache)
    return session


@pytest.fixture
def open_session(tiny_data: Path, tiny_weights: Path, feature_cache: Path) -> Opener:
    return functools.partial(_open, tiny_data, tiny_weights, feature_cache)


KILLED_IN = ((3, 2), (4, 1))
"""Epoch and batch: while the encoder learns, and after it."""


@pytest.fixture(scope="module")
def killed(
    tiny_data: Path, tiny_weights: Path, feature_cache: Path, tmp_path_factory: Any
) -> tuple[Trainer, dict[tuple[int, int], Path]]:
    """A training of all three phases, and its folder as it was when others were killed."""
    folder = tmp_path_factory.mktemp("killed")
    cuts = {cut: folder / f"{cut[0]}-{cut[1]}" for cut in KILLED_IN}
    session = _open(tiny_data, tiny_weights, feature_cache, *ALL_PHASES)
    trainer = session.trainer(folder / "whole")
    run_with_copies(trainer, cuts)
    return trainer, cuts


def test_the_encoder_learns_and_the_run_holds_the_pair_that_scored(
    open_session: Opener, tmp_path: Path
) -> None:
    session = open_session(*TUNED)
    assert session.captioner is not None
    before = session.captioner.encoder.get_weights()
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    assert [epoch.phase for epoch in trainer.history] == ["words", "encoder", "encoder"]
    scores = session.finish(tmp_path / "run", trainer)
    loaded = TrainedCaptioner.load(tmp_path / "run")
    learned = trainer.best().phase == "encoder"
    same = [
        np.array_equal(mine, theirs)
        for mine, theirs in zip(before, loaded.encoder.get_weights(), strict=True)
    ]
    assert all(same) != learned
    # What is kept says what was scored: a pair of two epochs would not.
    assert scores["dev"]["greedy"]["corpus_bleu"] == pytest.approx(trainer.best().bleu, abs=1e-3)
    assert loaded.encoder.trainable_weights
    paths = [photo.path for photo in session.dataset.split("dev")]
    now = features_now(loaded.encoder, loaded.design.preparation, paths)
    np.testing.assert_allclose(trainer.dev_features, now, rtol=1e-4, atol=1e-5)
    curve = read_design(tmp_path / "run").provenance["curve"]
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    assert all(row["cider_d"] >= 0 for row in curve)


def test_a_training_of_the_encoder_alone_never_encodes_train(
    tiny_data: Path, tiny_weights: Path, tiny_run: Path, tmp_path: Path
) -> None:
    session = _open(
        tiny_data,
        tiny_weights,
        tmp_path / "cache",
        "training.epochs=0",
        "training.tune_epochs=1",
        "training.reward_epochs=0",
        begun_from=tiny_run,
    )
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    scores = session.finish(tmp_path / "run", trainer)
    assert scores["epochs"] == 1
    kept = (np.load(path)["keys"] for path in (tmp_path / "cache").rglob("*.npz"))
    assert sum(map(len, kept)) == len(session.dataset.split("dev"))


def test_layers_before_tune_from_stay(open_session: Opener, tmp_path: Path) -> None:
    session = open_session(*TUNED, "training.tune_from=conv_pw_13")
    assert session.captioner is not None
    network = session.captioner.encoder.layers[-1]
    first, last = network.get_layer("conv_pw_12"), network.get_layer("conv_pw_13")
    before = [np.array(layer.kernel) for layer in (first, last)]
    trainer = session.trainer(tmp_path / "run")
    seen: list[bool] = []

    def compare(epoch: int, done: int, total: int) -> None:
        seen.append(not np.array_equal(np.array(last.kernel), before[1]))

    trainer.run(on_batch=compare)
    np.testing.assert_array_equal(np.array(first.kernel), before[0])
    assert seen[-1]
    assert first.trainable


@pytest.mark.parametrize("killed_in", KILLED_IN)
def test_a_training_killed_while_or_after_the_encoder_learns_goes_on_the_same(
    open_session: Opener,
    killed: tuple[Trainer, dict[tuple[int, int], Path]],
    killed_in: tuple[int, int],
) -> None:
    whole, cuts = killed
    again = open_session(*ALL_PHASES).trainer(cuts[killed_in])
    again.resume()
    again.run()
    assert [epoch.phase for epoch in again.history] == [epoch.phase for epoch in whole.history]
    assert [epoch.loss or epoch.reward for epoch in again.history] == pytest.approx(
        [epoch.loss or epoch.reward for epoch in whole.history], rel=1e-3
    )
    np.testing.assert_allclose(again.dev_features, whole.dev_features, rtol=1e-3, atol=1e-3)


def test_begins_from_a_run(open_session: Opener, tiny_run: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=0", "training.reward_epochs=1", "training.batch=8")
    session = open_session(*settings, begun_from=tiny_run)
    known = TrainedCaptioner.load(tiny_run)
    assert session.captioner is not None
    assert session.captioner.weights_sha256 == known.weights_sha256
    trainer = session.trainer(tmp_path / "on")
    trainer.run()
    assert [epoch.phase for epoch in trainer.history] == ["captions"]
    scores = session.finish(tmp_path / "on", trainer)
    about = read_design(tmp_path / "on").provenance
    assert about["begun_from"]["name"] == known.design.name
    before = known.design.provenance["scores"]
    # Not the scores themselves, for every exported file carries this.
    kept = ("best_epoch", "epochs", "seconds")
    assert about["begun_from"]["scores"] == {key: before[key] for key in kept}
    # The colours were known before the first epoch.
    assert scores["dev"]["greedy"]["corpus_bleu"][0] > 80


@pytest.mark.parametrize(
    ("given", "settings", "sentence"),
    [
        ({"encoder": "inception_v3"}, (), "has the encoder 'mobilenet', not 'inception_v3'"),
        ({"decoder": "merge-lstm"}, (), "has the decoder 'lstm', not 'merge-lstm'"),
        ({}, ("encoder.size=64",), "can't change the encoder"),
    ],
)
def test_another_captioner_than_that_begun_from_is_refused(
    tiny_data: Path,
    tiny_run: Path,
    given: dict[str, str],
    settings: tuple[str, ...],
    sentence: str,
) -> None:
    with pytest.raises(OptionError, match=sentence):
        TrainingSession.open(
            tiny_data,
            begun_from=tiny_run,
            settings=settings,
            **given,  # type: ignore[arg-type]
        )


def test_resuming_from_other_beginnings_is_refused(
    open_session: Opener, tiny_run: Path, tmp_path: Path
) -> None:
    settings = ("training.epochs=1", "training.reward_epochs=0", "training.batch=8")
    open_session(*settings, begun_from=tiny_run).trainer(tmp_path / "run").run()
    other = TrainedCaptioner.load(tiny_run)
    other.decoder.scale_logits(2.0)
    other.save(tmp_path / "other")
    trainer = open_session(*settings, begun_from=tmp_path / "other").trainer(tmp_path / "run")
    with pytest.raises(OptionError, match="begun_from"):
        trainer.resume()


def test_a_checkpoint_of_before_a_setting_was_there_has_it_by_default(
    open_session: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("training.epochs=1", "training.reward_epochs=0")
    open_session(*settings).trainer(tmp_path / "run").run()

    def older(path: Path) -> Any:
        history, known, arrays = read_checkpoint(path)
        del known["reward_unlike"], known["encoder_options"]["pooling"]
        del known["decoder_options"]["layers"]
        return history, known, arrays

    monkeypatch.setattr("edgecap.training.loop.read_checkpoint", older)
    again = open_session(*settings).trainer(tmp_path / "run")
    again.resume()
    assert len(again.history) == 1
    other = open_session(*settings, "training.reward_unlike=1").trainer(tmp_path / "run")
    with pytest.raises(OptionError, match=r"reward_unlike 0\.0 -> 1"):
        other.resume()
    other = open_session(*settings, "encoder.pooling=quarters").trainer(tmp_path / "run")
    with pytest.raises(OptionError, match=r"encoder_options .*'average'.* -> .*'quarters'"):
        other.resume()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("training.tune_epochs=1", "training.tune_from=conv_99"), "no layer of this encoder"),
        (("training.scheduled=2",), "scheduled is 2"),
        (("training.dev_beam=0",), "dev_beam is 0"),
        (("training.reward_baseline=best",), "choose one of others, greedy"),
        (("training.epochs=0", "training.reward_epochs=1"), "without a run to begin from"),
    ],
)
def test_options_that_can_not_be_are_refused(
    open_session: Opener, tmp_path: Path, settings: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(OptionError, match=sentence):
        open_session(*settings).trainer(tmp_path / "run")


def test_a_decoder_that_learns_from_prefixes_has_no_encoder_phase(
    tiny_data: Path, tiny_weights: Path, feature_cache: Path, tmp_path: Path
) -> None:
    shape = ("encoder.size=32", "encoder.width=0.25", "training.tune_epochs=1")
    session = TrainingSession.open(
        tiny_data, decoder="merge-bilstm", settings=shape, minimum_count=1
    )
    session.encode(tiny_weights, cache=feature_cache)
    with pytest.raises(OptionError, match="learns from prefixes"):
        session.trainer(tmp_path / "run")


def test_crops_are_views_of_their_own_and_the_same_each_time(open_session: Opener) -> None:
    settings = ("training.crops=2", "training.least_crop=0.5")
    session, again = open_session(*settings), open_session(*settings)
    views = session.material.features
    assert len(views) == 4
    np.testing.assert_array_equal(views, again.material.features)
    for one in range(4):
        for other in range(one):
            assert not np.allclose(views[one], views[other], rtol=1e-4, atol=1e-5)


def test_a_teacher_with_other_words_is_refused(
    open_session: Opener, tiny_run: Path, tmp_path: Path
) -> None:
    teacher = save_with_other_words(tiny_run, tmp_path / "teacher")
    with pytest.raises(OptionError, match="which are not the"):
        open_session(teachers=(teacher,))


def test_a_pupil_learns_the_colours_from_its_teacher_alone(
    open_session: Opener, tiny_run: Path, tmp_path: Path
) -> None:
    session = open_session(
        "training.teaching=1",
        "training.epochs=14",
        "training.learning_rate=0.01",
        teachers=(tiny_run,),
    )
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    assert trainer.best().bleu[0] > 80
    about = session.design.provenance["teachers"]
    assert [row["name"] for row in about] == [read_design(tiny_run).name]


class _Fixed:
    """A teacher that says the same whatever it sees."""

    def __init__(self, likely: list[float]) -> None:
        self.likely = np.array(likely, np.float32)

    def answer(self, images: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.likely, (*ids.shape, len(self.likely)))


def test_answers_are_the_peoples_smoothed_and_the_teachers_mean() -> None:
    options = TrainingOptions(teaching=0.5, label_smoothing=0.2)
    teachers = [_Fixed([1, 0, 0, 0]), _Fixed([0, 1, 0, 0])]
    answers = Answers(options, 4, teachers)  # type: ignore[arg-type]
    ids = np.array([[1, 2]], np.int32)
    wanted = answers.of(np.array([0]), ids, np.array([[3, 0]], np.int32))
    # Half of (0.5, 0.5, 0, 0), half of 0.8 for the word and 0.05 for each.
    np.testing.assert_allclose(wanted[0, 0], [0.275, 0.275, 0.025, 0.425], atol=1e-6)
    np.testing.assert_allclose(wanted[0, 1], [0.675, 0.275, 0.025, 0.025], atol=1e-6)


@pytest.mark.parametrize("learns_from", ["captions", "prefixes"])
def test_a_teacher_answers_as_its_training_graph_does(learns_from: str) -> None:
    import keras

    family = DECODERS["lstm"]
    decoder = family.build(family.options(embedding=12, units=20), 30, 9)
    dice = np.random.default_rng(0)
    features = dice.normal(size=(5, 9)).astype(np.float32)
    ids = dice.integers(0, 30, (3, 6)).astype(np.int32)
    images = np.array([4, 0, 4])
    answer = Teacher(decoder, features, learns_from).answer(images, ids)
    logits = decoder.prefix_logits(features[images], ids)
    likely = keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))
    expected = likely if learns_from == "captions" else likely[:, -1:]
    np.testing.assert_allclose(answer, expected, atol=1e-6)


VOCABULARY = Vocabulary(
    ("<pad>", "<s>", "</s>", "<unk>", "a", "b", "c"), 1, 2, padding_id=0, unknown_id=3
)


def _reading(options: TrainingOptions) -> Reading:
    family = DECODERS["lstm"]
    decoder = family.build(family.options(embedding=6, units=8), len(VOCABULARY), 5)
    return Reading(decoder, "captions", VOCABULARY, options)


def _captions() -> tuple[dict[str, np.ndarray], np.ndarray]:
    dice = np.random.default_rng(1)
    ids = dice.integers(4, 7, (400, 9)).astype(np.int32)
    ids[:, 0] = 1
    weights = (np.arange(9) < dice.integers(3, 10, 400)[:, None]).astype(np.float32)
    ids[weights == 0] = 0
    return {"features": dice.normal(size=(400, 5)).astype(np.float32), "ids": ids}, weights


def test_word_dropout_hides_its_share_of_the_words_read() -> None:
    inputs, weights = _captions()
    reading = _reading(TrainingOptions(word_dropout=0.25))
    read = reading.of(inputs, weights, 0.0, np.random.default_rng(0))["ids"]
    changed = read != inputs["ids"]
    assert set(read[changed].tolist()) == {3}
    assert not changed[:, 0].any()
    assert not changed[weights == 0].any()
    words = weights[:, 1:].sum()
    assert changed.sum() / words == pytest.approx(0.25, abs=0.03)


def test_scheduled_sampling_reads_the_decoders_own_words_more_and_more() -> None:
    inputs, weights = _captions()
    reading = _reading(TrainingOptions(scheduled=0.8))
    shares = []
    for done in (0.0, 0.5, 1.0):
        read = reading.of(inputs, weights, done, np.random.default_rng(0))["ids"]
        changed = read != inputs["ids"]
        assert not changed[:, 0].any()
        assert not changed[weights == 0].any()
        assert not set(read[changed].tolist()) & {1, 2}
        shares.append(changed.mean())
    assert shares[0] == 0 < shares[1] < shares[2]


@pytest.mark.parametrize("setting", ["reward_baseline=greedy", "reward_unlike=0.2"])
def test_other_rewards_learn(
    open_session: Opener, tiny_run: Path, tmp_path: Path, setting: str
) -> None:
    session = open_session(
        "training.epochs=0",
        "training.reward_epochs=2",
        f"training.{setting}",
        "training.reward_bleu4=1",
        "training.batch=8",
        begun_from=tiny_run,
    )
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    assert len(trainer.history) == 2
    assert all(np.isfinite(epoch.reward or np.nan) for epoch in trainer.history)
    assert trainer.best().bleu[0] > 70


def test_a_captions_own_bleu4_by_hand() -> None:
    judge = BleuJudge([["a", "dog", "runs", "on", "grass"]])
    # 1-grams 4 of 5; 2-grams (2 + 1) of (4 + 1); 3-grams (1 + 1) of (3 + 1); 4-grams 1 of 3.
    expected = (4 / 5 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert judge.score(["a", "dog", "runs", "in", "grass"]) == pytest.approx(expected)
    assert judge.score(["a", "dog", "runs", "on", "grass"]) == pytest.approx(1)
    assert judge.score([]) == judge.score(["cat"]) == 0


@given(st.integers(0, 2**32), st.floats(0.1, 1))
def test_crops_keep_the_pictures_shape_and_stay_inside(seed: int, least: float) -> None:
    left, top, right, bottom = random_view(np.random.default_rng(seed), least).box
    assert 0 <= left < right <= 1 + 1e-9
    assert 0 <= top < bottom <= 1 + 1e-9
    assert right - left == pytest.approx(bottom - top)
    assert right - left >= least - 1e-9
