"""Teaches a captioner the photographs in the box, by edgecap's own training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgecap.box import sample_photos
from edgecap.captioner import TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.files import load_weights, save_weights
from edgecap.training.checkpoint import Epoch
from edgecap.training.loop import Trainer
from edgecap.training.session import TrainingSession
from edgecap_runtime.errors import EdgecapError
from edgecap_runtime.preparation import Preparation, prepare
from edgecap_runtime.vocabulary import Vocabulary

__all__ = ["adapted_weights", "small_settings", "teach"]

_EPOCHS = 60
"""The most that a try lasts; what is learned by heart at all was so after 3 to 27."""

_TRIES = ((0, 4e-3), (1, 1e-3), (2, 4e-3))
"""Seed and learning rate, one after the other. By heart is luck too, where an encoder has random
weights; and attention over InceptionV3's map is lost for good at the higher rate."""

_SHIFT = 1.0
"""In standard deviations. The nearest two photographs were .7 of the mean distance apart by it, and
.1 with no shift (MobileNetV3)."""

_SETTINGS = (
    f"training.epochs={_EPOCHS}",
    f"training.patience={_EPOCHS}",
    "training.batch=14",
    # No pools: sorted by length, a batch would hold one caption many times.
    "training.pool=1",
    "training.prefixes=20",
    "training.prefix_batch=28",
    "training.drop_after=12,24",
    "training.average=0.9",
    "training.mirrored=false",
    "training.reward_epochs=0",
    "decoder.dropout=0",
)
"""To learn by heart: every prefix of a caption, and nothing dropped or mirrored."""

_SMALL = {
    "embedding": "64",
    "units": "64",
    "word_units": "64",
    "word_projection": "64",
    "image_projection": "64",
    "merged_units": "64",
    "hidden": "64",
    "attention": "64",
}
"""Small values of the sizes that decoders have."""


class _LearnedAllError(Exception):
    """Ends a training early."""


def teach(
    encoder: str,
    decoder: str,
    settings: Sequence[str],
    *,
    weights: Path,
    data: Path,
    folder: Path,
    vocabulary: Vocabulary | None = None,
) -> tuple[TrainedCaptioner, int]:
    """Train until the captioner says of every photograph the caption that it has.

    Args:
        encoder: name of the encoder family.
        decoder: name of the decoder family.
        settings: texts "part.option=value", as in `edgecap train --set`.
        weights: the encoder's.
        data: what `write_dataset` wrote.
        folder: for the run.
        vocabulary: words in place of those of the captions alone; theirs must be among them.

    Returns:
        The captioner, and the number of epochs that it took.

    Raises:
        EdgecapError: a setting is none, the weights don't fit, or it didn't learn them all.
    """
    reached = 0.0
    for seed, rate in _TRIES:
        session = TrainingSession.open(
            data,
            encoder=encoder,
            decoder=decoder,
            settings=(
                *_SETTINGS,
                f"training.learning_rate={rate}",
                *settings,
                f"training.seed={seed}",
            ),
            minimum_count=1,
            provenance={"licence": "a test, trained on the sample photographs"},
        )
        if vocabulary is not None:
            session.design = dataclasses.replace(session.design, vocabulary=vocabulary)
        session.encode(weights, cache=folder / "features")
        trainer = session.trainer(folder / "run")
        captioner = trainer.captioner
        _settle(getattr(captioner.decoder, "feature_norm", None), session.material.features)
        if _learns_all(trainer):
            # The average of the weights is what was scored.
            load_weights(captioner.decoder, folder / "run" / "decoder.weights.h5")
            return captioner, len(trainer.history)
        reached = max(reached, trainer.best().bleu[-1])
    raise EdgecapError(
        f"after {_EPOCHS} epochs it doesn't say the captions it was taught, by any of "
        f"{len(_TRIES)} seeds (corpus BLEU-4 {reached:.1f} where 100 is all of them)"
    )


def _learns_all(trainer: Trainer) -> bool:
    """Train until all captions are said; tell whether that was reached."""

    def check(epoch: Epoch) -> None:
        # Greedy, on the photographs it learns from. At 100 all captions are those they have.
        if epoch.bleu[-1] > 99.999:
            raise _LearnedAllError

    try:
        trainer.run(on_epoch=check)
    except _LearnedAllError:
        return True
    return False


def _settle(norm: Any, features: np.ndarray) -> None:
    """Give a decoder's batch norm, if it has one, the statistics of all features [1, images, F].

    Those of a whole map are F = places x C, and the norm is C wide.

    A batch of the longest prefixes shows one or two photographs, whose statistics say nothing of
    the others.
    """
    if norm is not None:
        seen = features.reshape(-1, *norm.moving_mean.shape)
        norm.moving_mean.assign(seen.mean(axis=0))
        norm.moving_variance.assign(seen.var(axis=0))
        norm.trainable = False


def small_settings(decoder: str) -> list[str]:
    """Give settings that make a decoder small."""
    options = {field.name for field in dataclasses.fields(DECODERS[decoder].options)}
    return [f"decoder.{name}={value}" for name, value in _SMALL.items() if name in options]


def adapted_weights(encoder: str, options: EncoderOptions, path: Path) -> Path:
    """Write random encoder weights by which the sample photographs can be told apart.

    In a deep network as it is born signals fade from layer to layer until all pictures look the
    same. Here each batch norm gets the statistics that it sees in the photographs. With these alone
    one picture comes to stand far off, and all others look the same again (Yang et al. 2019, "A
    Mean Field Theory of Batch Normalization", for ReLU); in a linear network they part instead. So
    the norms' outputs are shifted to where the activations are nearly linear.

    Raises:
        OptionError: the encoder has no such size or width.
    """
    family = ENCODERS[encoder]
    family.check(options, None)
    keras.utils.set_random_seed(1)
    network = family.build(options, None)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            layer.beta.assign(np.full(layer.beta.shape, _SHIFT, np.float32))
    preparation = Preparation(options.size, options.size)
    pixels = np.stack([prepare(photo, preparation) for photo in sample_photos()])
    network(pixels.astype(np.float32) * family.scale + family.offset, training=True)
    save_weights(network, path)
    return path
