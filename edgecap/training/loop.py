"""The training loop: an epoch, a dev score by decoding, a checkpoint."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgecap.captioner import TrainedCaptioner
from edgecap.encoders import EncoderOptions
from edgecap.files import load_weights, save_weights
from edgecap.inference import KerasCaptions
from edgecap.metrics import cider_d, corpus_bleu
from edgecap.settings import recorded, with_defaults
from edgecap.training.checkpoint import Epoch, read_checkpoint, restore, write_checkpoint
from edgecap.training.joint import EncoderPhase
from edgecap.training.material import Material
from edgecap.training.options import TrainingOptions
from edgecap.training.phases import CaptionPhase, Phase, WordPhase
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import OptionError


class Trainer:
    """Trains the decoder of a captioner on features, in a folder that survives being killed."""

    def __init__(
        self,
        captioner: TrainedCaptioner,
        folder: Path,
        options: TrainingOptions,
        material: Material,
        begun_from: str | None = None,
    ) -> None:
        """Set up the phases.

        Args:
            captioner: its decoder is trained in place, its encoder in a phase of its own.
            folder: the run; `checkpoint.npz` and the best epoch's weights go there.
            options: the recipe.
            material: what is learned from; its encoder is the captioner's.
            begun_from: hash of the weights that are gone on from, so that a checkpoint isn't
                resumed from others.

        Raises:
            OptionError: an option that this decoder, encoder or vocabulary can't have.
        """
        self.captioner = captioner
        self.folder = folder
        self.options = options
        self.history: list[Epoch] = []
        self._material = material
        self._begun_from = begun_from
        penalty = captioner.design.defaults.length_penalty
        self._search = DecodingOptions(beam=options.dev_beam, length_penalty=penalty)
        self._captions = KerasCaptions(captioner.decoder, captioner.design.vocabulary)
        self._phases: tuple[Phase, ...] = (
            WordPhase(captioner, options, material),
            EncoderPhase(captioner, options, material),
            CaptionPhase(captioner, options, material, self._captions),
        )
        self._phase: Phase | None = None

    @property
    def checkpoint(self) -> Path:
        """Where the training's state is kept."""
        return self.folder / "checkpoint.npz"

    @property
    def dev_features(self) -> np.ndarray:
        """Float32 [images, F] of dev, by the encoder of the best epoch once `run` is over."""
        return self._material.dev_features

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            OptionError: the settings differ from those it was begun with.
            EdgecapError: the checkpoint is damaged.
        """
        self.history, settings, arrays = read_checkpoint(self.checkpoint)
        # More or fewer epochs, and more patience, are what resuming is for.
        free = {"epochs", "tune_epochs", "reward_epochs", "patience"}
        mine = self._settings()
        settings = with_defaults(settings, TrainingOptions())
        defaults = {
            "encoder_options": EncoderOptions(),
            "decoder_options": type(self.captioner.design.decoder_options)(),
        }
        settings |= {part: with_defaults(settings[part], none) for part, none in defaults.items()}
        changed = [name for name in mine if name not in free and mine[name] != settings.get(name)]
        if changed:
            detail = ", ".join(f"{name} {settings.get(name)} -> {mine[name]}" for name in changed)
            raise OptionError(
                f"this training was begun with other settings ({detail}); resume with the old "
                "ones or choose another --out"
            )
        self._phase = next(phase for phase in self._phases if phase.name == self.history[-1].phase)
        # In its own phase the encoder is in the checkpoint.
        if self._encoder_learned and self._phase.name != EncoderPhase.name:
            self._take_encoder()
        self._phase.begin()
        restore(self._phase.model, arrays)

    def run(
        self,
        on_batch: Callable[[int, int, int], None] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        """Train to the last epoch or until dev stops getting better; the best weights are loaded.

        Args:
            on_batch: called with (epoch from 1, batches done, batches in all).
            on_epoch: called after each epoch's checkpoint is on disk.
        """
        while (phase := self._unfinished()) is not None:
            index = len(self.history)
            self._enter(phase)
            started = time.perf_counter()
            # Dropout then depends on the epoch, not on how often the training was interrupted.
            keras.utils.set_random_seed(self.options.seed * 1000 + index)
            report = functools.partial(on_batch, index + 1) if on_batch else _silent
            learned = phase.learn(index, len(self._epochs_of(phase)), report)
            with self._averaged_weights(phase.model):
                said = self._captions.best(phase.dev_features(), self._search)
                epoch = Epoch(
                    epoch=index + 1,
                    phase=phase.name,
                    **vars(learned),
                    bleu=corpus_bleu(said, self._material.dev_words),
                    cider_d=cider_d(said, self._material.dev_words),
                    seconds=time.perf_counter() - started,
                )
                self.history.append(epoch)
                if epoch is self.best():
                    self._save_best()
            write_checkpoint(self.checkpoint, phase.model, self.history, self._settings())
            if on_epoch:
                on_epoch(epoch)
        self._leave()

    def best(self) -> Epoch:
        """The epoch with the highest dev BLEU-4, then BLEU-3 and so on, the earliest of equals."""
        return _best(self.history)

    def _enter(self, phase: Phase) -> None:
        """Begin a phase, from the best weights of those before it, unless it goes on."""
        if phase is self._phase:
            return
        self._leave()
        phase.begin()
        self._phase = phase

    def _leave(self) -> None:
        """End the phase that goes on, if one does, and load the best weights."""
        if self._phase is None:
            return
        self._phase.end()
        load_weights(self.captioner.decoder, self.folder / "decoder.weights.h5")
        if self._phase.name == EncoderPhase.name:
            self._take_encoder()

    def _unfinished(self) -> Phase | None:
        """Give the phase that goes on or begins: each runs to its end or out of patience."""
        for phase in self._phases:
            epochs = self._epochs_of(phase)
            if len(epochs) >= phase.epochs:
                continue
            if epochs and epochs[-1].epoch - _best(epochs).epoch >= self.options.patience:
                continue
            return phase
        return None

    def _epochs_of(self, phase: Phase) -> list[Epoch]:
        return [epoch for epoch in self.history if epoch.phase == phase.name]

    def _save_best(self) -> None:
        save_weights(self.captioner.decoder, self.folder / "decoder.weights.h5")
        if self._encoder_learned:
            save_weights(self.captioner.encoder, self.folder / "encoder.weights.h5")

    def _take_encoder(self) -> None:
        """Load the encoder of the best epoch; features of another are of no use."""
        load_weights(self.captioner.encoder, self.folder / "encoder.weights.h5")
        self._material.forget_features()

    @property
    def _encoder_learned(self) -> bool:
        return any(epoch.phase == EncoderPhase.name for epoch in self.history)

    @contextmanager
    def _averaged_weights(self, model: Any) -> Iterator[None]:
        """Put the running average of the weights in their place for a while."""
        if not self.options.average:
            yield
            return
        swap = keras.callbacks.SwapEMAWeights()
        swap.set_model(model)
        swap.on_test_begin()
        try:
            yield
        finally:
            swap.on_test_end()

    def _settings(self) -> dict[str, Any]:
        """What must not change between the parts of one training."""
        design = self.captioner.design
        return recorded(self.options) | {
            "decoder": design.decoder,
            "decoder_options": recorded(design.decoder_options),
            "vocabulary": len(design.vocabulary),
            "encoder": design.encoder,
            "encoder_options": recorded(design.encoder_options),
            "begun_from": self._begun_from,
            "teachers": len(self._material.teachers),
        }


def _best(history: Sequence[Epoch]) -> Epoch:
    return max(history, key=lambda epoch: epoch.bleu[::-1])


def _silent(done: int, total: int) -> None:
    """Tell nobody of progress."""
