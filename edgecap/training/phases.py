"""What a training consists of: learning words one by one, then learning whole captions.

The phase between, in which the encoder learns too, is in `edgecap.training.joint`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from edgecap.captioner import TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.inference import KerasCaptions
from edgecap.training.batches import BATCHES, Batch
from edgecap.training.compiling import compile_model
from edgecap.training.learned import Learned, Report, learn_words
from edgecap.training.loss import WeighedLikelihood
from edgecap.training.material import Material
from edgecap.training.options import TrainingOptions
from edgecap.training.reading import Reading
from edgecap.training.self_critical import SelfCritic, hold_statistics
from edgecap.training.teachers import Answers


class Phase(Protocol):
    """A part of a training, with its own objective and optimizer."""

    name: str
    """As the history has it."""

    epochs: int
    """At most."""

    model: Any
    """What learns, a compiled `keras.Model`; there once `begin` was called."""

    def begin(self) -> None:
        """Compile what learns with a fresh optimizer; its weights stay."""

    def learn(self, epoch: int, done: int, report: Report) -> Learned:
        """Learn from everything once.

        epoch: counted from 0 over the whole training; done: epochs of this phase before it.
        """

    def dev_features(self) -> np.ndarray:
        """Give the features of dev that go with the weights of now."""

    def end(self) -> None:
        """Undo what `begin` changed apart from weights."""


class _DecoderPhase:
    """A phase in which the decoder alone learns."""

    def __init__(
        self, captioner: TrainedCaptioner, options: TrainingOptions, material: Material
    ) -> None:
        self.model = captioner.decoder
        self._captioner = captioner
        self._options = options
        self._material = material

    def dev_features(self) -> np.ndarray:
        """Give the features as they are: the encoder stays."""
        return self._material.dev_features

    def end(self) -> None:
        """Leave all as it is."""


class WordPhase(_DecoderPhase):
    """Cross-entropy of the next word, with the caption so far as people wrote it, or nearly so."""

    name = "words"

    def __init__(
        self, captioner: TrainedCaptioner, options: TrainingOptions, material: Material
    ) -> None:
        """Settle what is read and answered; `begin` encodes the captions.

        Raises:
            OptionError: an option that this decoder or vocabulary can't have.
        """
        super().__init__(captioner, options, material)
        self.epochs = options.epochs
        self._batches: Any = None
        design = captioner.design
        self._learns_from = DECODERS[design.decoder].learns_from
        self._reading = Reading(captioner.decoder, self._learns_from, design.vocabulary, options)
        self._answers = Answers(options, len(design.vocabulary), material.teachers)

    def begin(self) -> None:
        """Compile the decoder and encode the captions."""
        options, material = self._options, self._material
        self._batches = BATCHES[self._learns_from](
            material.features, material.words, self._captioner.design.vocabulary, options
        )
        compile_model(self.model, options, options.learning_rate, self._answers.loss())

    def end(self) -> None:
        """Let go of the features, beside which those of an encoder that learns find no room."""
        self._batches = None

    def learn(self, epoch: int, done: int, report: Report) -> Learned:
        """Learn from every caption once."""
        rate = self._options.rate_in(done)
        self.model.optimizer.learning_rate = rate
        self._batches.epoch = epoch
        # Apart from the batches' own dice, whose order stays what it was without these options.
        dice = np.random.default_rng((self._options.seed, epoch, 1))
        share = done / max(1, self.epochs - 1)
        batches = (self._batch(place, share, dice) for place in range(len(self._batches)))
        return Learned(rate, loss=learn_words(self.model, batches, len(self._batches), report))

    def _batch(self, place: int, share: float, dice: np.random.Generator) -> Batch:
        """Give what is read, what is to be answered, and weights; share: as in `Reading.of`."""
        inputs, targets, weights = self._batches[place]
        images = self._batches.images[self._batches.captions_in(place)]
        wanted = self._answers.of(images, inputs["ids"], targets)
        return self._reading.of(inputs, weights, share, dice), wanted, weights


class CaptionPhase(_DecoderPhase):
    """Self-critical training on CIDEr-D; see `edgecap.training.self_critical`."""

    name = "captions"

    def __init__(
        self,
        captioner: TrainedCaptioner,
        options: TrainingOptions,
        material: Material,
        captions: KerasCaptions,
    ) -> None:
        """Keep what `begin` needs; captions: says them by the same decoder."""
        super().__init__(captioner, options, material)
        self.epochs = options.reward_epochs
        self._captions = captions
        self._critic: SelfCritic | None = None

    def begin(self) -> None:
        """Compile the decoder, with sharper answers, and weigh the references."""
        options, design = self._options, self._captioner.design
        hold_statistics(self.model)
        self.model.scale_logits(options.sharpen)
        compile_model(self.model, options, options.reward_rate, WeighedLikelihood())
        self._critic = SelfCritic(
            self.model,
            DECODERS[design.decoder].learns_from,
            self._captions,
            design.vocabulary,
            options,
            features=self._material.features,
            words=self._material.words,
        )

    def learn(self, epoch: int, done: int, report: Report) -> Learned:
        """Sample captions of every image and learn from their scores."""
        if self._critic is None:
            raise RuntimeError("begin() comes before learn()")
        return Learned(self._options.reward_rate, reward=self._critic.learn(epoch, report))
