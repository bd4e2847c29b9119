"""Training learns, survives being killed, and says what it was begun with."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecap.box import sample_photos
from edgecap.captioner import TrainedCaptioner, read_design
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.features import image_features
from edgecap.inference import KerasCaptions
from edgecap.metrics import corpus_bleu
from edgecap.training.batches import CaptionBatches, PrefixBatches
from edgecap.training.loop import Trainer
from edgecap.training.loss import SmoothedCrossEntropy
from edgecap.training.options import TrainingOptions
from edgecap.training.session import TrainingSession
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import EdgecapError, OptionError
from edgecap_runtime.preparation import Preparation
from edgecap_runtime.vocabulary import Vocabulary

from .conftest import TINY_SETTINGS, run_with_copies

Opener = Callable[..., TrainingSession]

SMALL_MERGE = (
    "decoder.word_units=12",
    "decoder.word_projection=16",
    "decoder.image_projection=16",
    "decoder.merged_units=12,12",
    "decoder.hidden=16",
)


@pytest.fixture(scope="session")
def open_session(tiny_data: Path, tiny_weights: Path, feature_cache: Path) -> Opener:
    def opener(*more: str) -> TrainingSession:
        session = TrainingSession.open(tiny_data, settings=(*TINY_SETTINGS, *more), minimum_count=1)
        session.encode(tiny_weights, cache=feature_cache)
        return session

    return opener


def test_learns_what_it_sees_and_writes_a_whole_run(open_session: Opener, tmp_path: Path) -> None:
    session = open_session("training.epochs=30", "training.patience=30")
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    scores = session.finish(tmp_path / "run", trainer)
    # Saying one colour for all would give 75 %: two words of three, and the third by chance.
    assert scores["dev"]["greedy"]["corpus_bleu"][0] > 80
    assert scores["dev"]["greedy"]["different_captions"] >= 3
    assert trainer.history[-1].loss < trainer.history[0].loss / 2
    loaded = TrainedCaptioner.load(tmp_path / "run")
    assert loaded.design.provenance["scores"] == json.loads(json.dumps(scores))
    for mine, theirs in zip(
        trainer.captioner.decoder.get_weights(), loaded.decoder.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


WORDS_THEN_CAPTIONS = ("training.epochs=3", "training.reward_epochs=2")
KILLED_IN = ((3, 2), (4, 1), (5, 1))
"""Epoch and batch: among words, as captions begin, and among them."""


@pytest.fixture(scope="module")
def killed(
    open_session: Opener, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trainer, dict[tuple[int, int], Path]]:
    """A training that went on to its end, and its folder as it was when others were killed."""
    folder = tmp_path_factory.mktemp("killed")
    cuts = {cut: folder / f"{cut[0]}-{cut[1]}" for cut in KILLED_IN}
    trainer = open_session(*WORDS_THEN_CAPTIONS).trainer(folder / "whole")
    run_with_copies(trainer, cuts)
    return trainer, cuts


@pytest.mark.parametrize("killed_in", KILLED_IN)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    open_session: Opener,
    killed: tuple[Trainer, dict[tuple[int, int], Path]],
    killed_in: tuple[int, int],
) -> None:
    whole, cuts = killed
    again = open_session(*WORDS_THEN_CAPTIONS).trainer(cuts[killed_in])
    again.resume()
    assert len(again.history) == killed_in[0] - 1
    again.run()
    assert [epoch.phase for epoch in again.history] == [epoch.phase for epoch in whole.history]
    assert [epoch.loss or epoch.reward for epoch in again.history] == pytest.approx(
        [epoch.loss or epoch.reward for epoch in whole.history], rel=1e-4
    )


def test_the_average_of_the_weights_is_what_is_scored_and_kept(
    open_session: Opener, tmp_path: Path
) -> None:
    """The average begins with the weights after the first step; momentum 1/2 halves the past."""
    session = open_session("training.epochs=1", "training.average=0.5", "training.batch=16")
    trainer = session.trainer(tmp_path / "run")
    decoder = trainer.captioner.decoder
    seen: list[list[np.ndarray]] = []

    def remember(epoch: int, done: int, total: int) -> None:
        seen.append([np.array(weight) for weight in decoder.trainable_variables])

    trainer.run(on_batch=remember)
    average = seen[0]
    for weights in seen[1:]:
        average = [0.5 * a + 0.5 * b for a, b in zip(average, weights, strict=True)]
    kept = [np.array(weight) for weight in decoder.trainable_variables]
    assert len(seen) == 3
    for mine, theirs in zip(kept, average, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_resuming_with_other_settings_is_refused(open_session: Opener, tmp_path: Path) -> None:
    open_session("training.epochs=1").trainer(tmp_path / "run").run()
    other = open_session("training.epochs=1", "training.batch=4")
    trainer = other.trainer(tmp_path / "run")
    with pytest.raises(OptionError, match="batch 8 -> 4"):
        trainer.resume()


def test_a_damaged_checkpoint_is_named(open_session: Opener, tmp_path: Path) -> None:
    trainer = open_session("training.epochs=1").trainer(tmp_path / "run")
    trainer.checkpoint.write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(EdgecapError, match=r"checkpoint\.npz"):
        trainer.resume()


def test_stops_early_when_dev_gets_no_better(open_session: Opener, tmp_path: Path) -> None:
    session = open_session("training.epochs=40", "training.patience=2")
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    assert len(trainer.history) == trainer.best().epoch + 2 < 40


def test_epochs_are_scored_by_the_beam_that_was_asked_for(
    open_session: Opener, tmp_path: Path
) -> None:
    session = open_session("training.epochs=3", "training.dev_beam=3")
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    assert session.captioner is not None
    captions = KerasCaptions(session.captioner.decoder, session.design.vocabulary)
    references = [photo.captions for photo in session.dataset.split("dev")]

    def bleu(beam: int) -> tuple[float, ...]:
        options = DecodingOptions(beam=beam, length_penalty=session.design.defaults.length_penalty)
        return tuple(corpus_bleu(captions.best(trainer.dev_features, options), references))

    assert tuple(trainer.best().bleu) == pytest.approx(bleu(3))
    assert bleu(3) != pytest.approx(bleu(1))


def test_the_curve_is_written_as_a_table_and_a_picture(
    open_session: Opener, tmp_path: Path
) -> None:
    from PIL import Image

    from edgecap.training.curve import write_curve

    trainer = open_session("training.epochs=2").trainer(tmp_path / "run")
    trainer.run(on_epoch=lambda epoch: write_curve(trainer.history, trainer.folder))
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) == pytest.approx(trainer.history[1].loss, abs=1e-4)
    with Image.open(tmp_path / "run" / "curve.png") as picture:
        assert picture.size[0] > 600


def test_batches_hold_every_caption_once_and_depend_on_the_epoch_alone() -> None:
    vocabulary = Vocabulary(("<pad>", "<s>", "</s>", "a", "b", "c"), 1, 2, padding_id=0)
    captions = [[["a"] * n, ["b"] * (n + 1)] for n in range(1, 40)]
    features = np.arange(39, dtype=np.float32)[None, :, None]

    def rows(batches: CaptionBatches) -> list[tuple[int, ...]]:
        seen = []
        for place in range(len(batches)):
            inputs, targets, weights = batches[place]
            assert inputs["ids"].shape == targets.shape == weights.shape
            assert (inputs["ids"][:, 0] == 1).all()
            np.testing.assert_array_equal(inputs["ids"][:, 1:], targets[:, :-1])
            np.testing.assert_array_equal(weights == 0, targets == 0)
            seen += [
                (int(image[0]), *row[row > 0].tolist())
                for image, row in zip(inputs["features"], targets, strict=True)
            ]
        return seen

    options = TrainingOptions(batch=8, pool=2, longest=10, seed=3)
    batches = CaptionBatches(features, captions, vocabulary, options)
    first = rows(batches)
    assert len(first) == 2 * len(captions)
    batches.epoch = 1
    second = rows(batches)
    assert sorted(first) == sorted(second)
    assert first != second
    batches.epoch = 0
    assert rows(batches) == first
    assert max(len(row) for row in first) == 1 + 10 + 1


def test_prefix_batches_hold_true_prefixes_of_one_length_and_the_word_that_follows() -> None:
    vocabulary = Vocabulary(("<pad>", "<s>", "</s>", "a", "b", "c"), 1, 2, padding_id=0)
    captions = [[["a", "b", "c"][: 1 + n % 3] * 3] for n in range(40)]
    features = np.arange(40, dtype=np.float32)[None, :, None]
    options = TrainingOptions(prefixes=4, prefix_batch=8, seed=3)
    batches = PrefixBatches(features, captions, vocabulary, options)

    def drawn() -> list[tuple[int, ...]]:
        seen = []
        for place in range(len(batches)):
            inputs, targets, weights = batches[place]
            assert (weights == 1).all()
            assert targets.shape == (len(inputs["ids"]), 1)
            assert len(targets) <= 8
            seen += [
                (int(image[0]), *ids.tolist(), int(target[0]))
                for image, ids, target in zip(
                    inputs["features"], inputs["ids"], targets, strict=True
                )
            ]
        return seen

    whole = [(1, *vocabulary.ids_of(words), 2) for several in captions for words in several]
    first = drawn()
    # Four of each caption, fewer where it has fewer; none twice, each a true beginning.
    assert len(first) == len(set(first)) == sum(min(4, len(ids) - 1) for ids in whole)
    assert all(tuple(ids) == whole[image][: len(ids)] for image, *ids in first)
    batches.epoch = 1
    assert drawn() != first
    batches.epoch = 0
    assert drawn() == first


def test_loss_equals_cross_entropy_with_smoothed_one_hot_targets() -> None:
    import keras

    dice = np.random.default_rng(0)
    logits = dice.normal(size=(3, 4, 7)).astype(np.float32)
    targets = dice.integers(0, 7, (3, 4)).astype(np.int32)
    weights = (dice.random((3, 4)) > 0.3).astype(np.float32)
    ours = SmoothedCrossEntropy(0.1)(targets, logits, sample_weight=weights)
    theirs = keras.losses.categorical_crossentropy(
        np.eye(7, dtype=np.float32)[targets], logits, from_logits=True, label_smoothing=0.1
    )
    expected = float((np.asarray(theirs) * weights).sum() / weights.sum())
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_features_are_cached_by_all_that_they_depend_on(
    open_session: Opener, feature_cache: Path
) -> None:
    session = open_session()
    assert session.captioner is not None
    paths = [photo.path for photo in session.dataset.split("dev")]
    calls: list[int] = []

    class Counting:
        def __init__(self, encoder: object) -> None:
            self.encoder = encoder

        def __getattr__(self, name: str) -> object:
            return getattr(self.encoder, name)

        def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
            calls.append(len(pixels))
            return self.encoder.predict_on_batch(pixels)  # type: ignore[attr-defined]

    encoder = Counting(session.captioner.encoder)
    preparation = session.design.preparation
    cached = image_features(encoder, preparation, paths, cache=feature_cache)
    assert not calls
    np.testing.assert_array_equal(cached, session.material.dev_features)
    other = type(preparation)(**{**vars(preparation), "resampling": "nearest"})
    image_features(encoder, other, paths, cache=feature_cache)
    assert sum(calls) == len(paths)
    weights = session.captioner.encoder.get_weights()
    session.captioner.encoder.set_weights([weights[0] + 0.01, *weights[1:]])
    image_features(encoder, preparation, paths[:3], cache=feature_cache)
    assert sum(calls) == len(paths) + 3


def test_features_are_found_again_whatever_was_built_before(tmp_path: Path) -> None:
    import keras

    path = sample_photos()[0]
    preparation = Preparation(height=32, width=32)

    def features(name: str, seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        network = ENCODERS[name].build(EncoderOptions(size=32), None)
        encoder = keras.Sequential([network], name="encoder")
        return image_features(encoder, preparation, [path], cache=tmp_path)

    # Keras numbers layers and operations through the whole process.
    for name in ("mobilenet", "mobilenet_v3_small"):
        before = len(list(tmp_path.iterdir()))
        first = features(name, 0)
        np.testing.assert_array_equal(features(name, 0), first)
        assert len(list(tmp_path.iterdir())) == before + 1
        assert not np.array_equal(features(name, 1), first)
        assert len(list(tmp_path.iterdir())) == before + 2


@pytest.mark.parametrize("layers", [1, 2])
def test_the_step_says_what_the_training_graph_says(layers: int) -> None:
    import keras

    from edgecap.decoders import DECODERS

    family = DECODERS["lstm"]
    decoder = family.build(family.options(embedding=12, units=20, layers=layers), 30, 9)
    dice = np.random.default_rng(layers)
    decoder.set_weights([dice.normal(0, 0.4, w.shape) for w in decoder.get_weights()])
    features = dice.normal(size=(5, 9)).astype(np.float32)
    ids = dice.integers(0, 30, (5, 8)).astype(np.int32)
    whole = keras.ops.convert_to_numpy(decoder.prefix_logits(features, ids))
    state = decoder.first_state(features)
    for place in range(8):
        vectors = decoder.embedding_table[ids[:, place]]
        logits, state = decoder.step(ids[:, place], vectors, state)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(logits), whole[:, place], atol=1e-5)
    assert set(state) == set(decoder.state_spec)


def test_many_images_together_say_what_each_says_alone(
    open_session: Opener, tmp_path: Path
) -> None:
    session = open_session("training.epochs=3")
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    captions = KerasCaptions(trainer.captioner.decoder, session.design.vocabulary)
    features = session.material.dev_features
    for options in (DecodingOptions(beam=1), DecodingOptions(beam=3)):
        together = captions.best(features, options)
        alone = [captions.best(features[row : row + 1], options)[0] for row in range(len(features))]
        assert together == alone


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("decoder.units=many", "whole number"),
        ("decoder.wings=2", "no option 'wings'"),
        ("engine.units=2", "names no part"),
        ("units=2", "PART.OPTION=VALUE"),
        ("decoder.units=0", "decoder.units is 0"),
        ("encoder.size=7", "size 7"),
    ],
)
def test_bad_settings_get_one_sentence(
    tiny_data: Path, tmp_path: Path, setting: str, sentence: str
) -> None:
    with pytest.raises(OptionError, match=sentence):
        TrainingSession.open(tiny_data, settings=(setting,), minimum_count=1).encode(
            None, cache=tmp_path
        )


def test_a_run_of_a_newer_edgecap_is_refused(open_session: Opener, tmp_path: Path) -> None:
    open_session().trainer(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace('"run_version": 2', '"run_version": 3'))
    with pytest.raises(EdgecapError, match="upgrade edgecap"):
        read_design(tmp_path / "run")


def test_options_of_training_say_their_learning_rate() -> None:
    options = TrainingOptions(learning_rate=1.0, drop_after=(2, 4), drop_factor=0.1)
    assert [round(options.rate_in(epoch), 6) for epoch in range(5)] == [1, 1, 0.1, 0.1, 0.01]


def test_trainer_is_what_the_session_makes(open_session: Opener, tmp_path: Path) -> None:
    assert isinstance(open_session().trainer(tmp_path / "r"), Trainer)


@pytest.mark.parametrize("decoder", ["lstm", "merge-lstm"])
def test_learning_whole_captions_follows_learning_words(
    tiny_data: Path, tiny_weights: Path, feature_cache: Path, tmp_path: Path, decoder: str
) -> None:
    sizes = () if decoder == "lstm" else SMALL_MERGE
    settings = [text for text in TINY_SETTINGS if decoder == "lstm" or "units" not in text]
    session = TrainingSession.open(
        tiny_data,
        decoder=decoder,
        settings=(
            *settings,
            *sizes,
            "training.epochs=12",
            "training.reward_epochs=12",
            "training.patience=20",
            "training.reward_rate=0.001",
        ),
        minimum_count=1,
    )
    session.encode(tiny_weights, cache=feature_cache)
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    history = trainer.history
    assert [epoch.phase for epoch in history] == ["words"] * 12 + ["captions"] * 12
    rewards = [epoch.reward for epoch in history[12:] if epoch.reward is not None]
    # A few dozen samples an epoch: single rewards are noisy.
    assert np.mean(rewards[-4:]) > np.mean(rewards[:4]), rewards
    assert history[-1].loss is None
    # The best epoch's weights are in memory and on disk.
    scores = session.finish(tmp_path / "run", trainer)
    assert scores["dev"]["greedy"]["corpus_bleu"] == [round(b, 3) for b in trainer.best().bleu]


def test_a_decoder_without_steps_learns_from_prefixes_and_from_whole_captions(
    tiny_data: Path, tiny_weights: Path, feature_cache: Path, tmp_path: Path
) -> None:
    settings = [text for text in TINY_SETTINGS if "units" not in text]
    session = TrainingSession.open(
        tiny_data,
        decoder="merge-bilstm",
        settings=(*settings, *SMALL_MERGE, "training.epochs=2", "training.reward_epochs=1"),
        minimum_count=1,
    )
    session.encode(tiny_weights, cache=feature_cache)
    trainer = session.trainer(tmp_path / "run")
    trainer.run()
    losses = [epoch.loss for epoch in trainer.history if epoch.loss is not None]
    assert losses[1] < losses[0]
    assert [epoch.reward is not None for epoch in trainer.history] == [False, False, True]
