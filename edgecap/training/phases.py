"""What a training consists of: learning words one by one, then learning whole captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from edgecap.captioner import TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.inference import KerasCaptions
from edgecap.training.batches import BATCHES, Words
from edgecap.training.loss import SmoothedCrossEntropy, WeighedLikelihood
from edgecap.training.options import TrainingOptions
from edgecap.training.self_critical import SelfCritic, hold_statistics

Report = Callable[[int, int], None]
"""Called with (batches or rounds done, in all)."""


@dataclass(frozen=True)
class Learned:
    """What one epoch of a phase tells."""

    learning_rate: float
    """Adam's."""

    loss: float | None = None
    """Mean training loss a word, smoothing included."""

    reward: float | None = None
    """Mean reward of the captions that were sampled."""


class Phase(Protocol):
    """A part of a training, with its own objective and optimizer."""

    name: str
    """As the history has it."""

    epochs: int
    """At most."""

    def begin(self) -> None:
        """Compile the decoder with a fresh optimizer; its weights stay."""

    def learn(self, epoch: int, report: Report) -> Learned:
        """Learn from everything once; epoch: counted from 0 over the whole training."""


class WordPhase:
    """Cross-entropy of the next word, with the caption so far as people wrote it."""

    name = "words"

    def __init__(
        self,
        captioner: TrainedCaptioner,
        options: TrainingOptions,
        features: np.ndarray,
        words: Words,
    ) -> None:
        """Encode the captions; features float32 [views, images, F]."""
        design = captioner.design
        learns_from = DECODERS[design.decoder].learns_from
        self._batches = BATCHES[learns_from](features, words, design.vocabulary, options)
        self._decoder = captioner.decoder
        self._options = options
        self.epochs = options.epochs

    def begin(self) -> None:
        """Compile the decoder."""
        options = self._options
        loss = SmoothedCrossEntropy(options.label_smoothing)
        _compile(self._decoder, options, options.learning_rate, loss)

    def learn(self, epoch: int, report: Report) -> Learned:
        """Learn from every caption once."""
        rate = self._options.rate_in(epoch)
        self._decoder.optimizer.learning_rate = rate
        self._batches.epoch = epoch
        total = words = 0.0
        # Not `fit`: its TensorFlow path fixes the caption length to that of the first batches.
        for place in range(len(self._batches)):
            inputs, targets, weights = self._batches[place]
            loss = self._decoder.train_on_batch(inputs, targets, sample_weight=weights)
            count = float(weights.sum())
            total, words = total + float(loss) * count, words + count
            report(place + 1, len(self._batches))
        return Learned(rate, loss=total / words)


class CaptionPhase:
    """Self-critical training on CIDEr-D; see `edgecap.training.self_critical`."""

    name = "captions"

    def __init__(
        self,
        captioner: TrainedCaptioner,
        options: TrainingOptions,
        captions: KerasCaptions,
        features: np.ndarray,
        words: Words,
    ) -> None:
        """Keep what `begin` needs; features float32 [views, images, F]."""
        self._captioner = captioner
        self._options = options
        self._captions = captions
        self._data = features, words
        self._critic: SelfCritic | None = None
        self.epochs = options.reward_epochs

    def begin(self) -> None:
        """Compile the decoder, with sharper answers, and weigh the references."""
        decoder, design = self._captioner.decoder, self._captioner.design
        hold_statistics(decoder)
        decoder.scale_logits(self._options.sharpen)
        _compile(decoder, self._options, self._options.reward_rate, WeighedLikelihood())
        features, words = self._data
        self._critic = SelfCritic(
            decoder,
            DECODERS[design.decoder].learns_from,
            self._captions,
            design.vocabulary,
            self._options,
            features=features,
            words=words,
        )

    def learn(self, epoch: int, report: Report) -> Learned:
        """Sample captions of every image and learn from their scores."""
        if self._critic is None:
            raise RuntimeError("begin() comes before learn()")
        return Learned(self._options.reward_rate, reward=self._critic.learn(epoch, report))


def _compile(decoder: Any, options: TrainingOptions, rate: float, loss: Any) -> None:
    decoder.compile(
        optimizer=keras.optimizers.Adam(
            rate,
            global_clipnorm=options.clip_norm,
            use_ema=options.average > 0,
            ema_momentum=options.average,
        ),
        loss=loss,
        # Batches differ in length, and XLA would compile each length anew.
        jit_compile=False,
    )
