"""The training loop: an epoch, a dev score by decoding, a checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgecap.captioner import TrainedCaptioner
from edgecap.files import load_weights, save_weights
from edgecap.inference import KerasCaptions
from edgecap.metrics import corpus_bleu
from edgecap.training.batches import Words
from edgecap.training.checkpoint import Epoch, read_checkpoint, restore, write_checkpoint
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
        *,
        train: tuple[np.ndarray, Words],
        dev: tuple[np.ndarray, Words],
    ) -> None:
        """Compile the decoder and set up the data.

        Args:
            captioner: its decoder is trained in place, its encoder is left alone.
            folder: the run; `checkpoint.npz` and the best epoch's weights go there.
            options: the recipe.
            train: features float32 [views, images, F] and the images' captions.
            dev: features float32 [images, F] and captions, to score each epoch by.
        """
        self.captioner = captioner
        self.folder = folder
        self.options = options
        self.history: list[Epoch] = []
        self._dev_features, self._dev_words = dev
        self._captions = KerasCaptions(captioner.decoder, captioner.design.vocabulary)
        self._phases: tuple[Phase, ...] = (
            WordPhase(captioner, options, *train),
            CaptionPhase(captioner, options, self._captions, *train),
        )
        self._phases[0].begin()

    @property
    def checkpoint(self) -> Path:
        """Where the training's state is kept."""
        return self.folder / "checkpoint.npz"

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            OptionError: the settings differ from those it was begun with.
            EdgecapError: the checkpoint is damaged.
        """
        self.history, settings, arrays = read_checkpoint(self.checkpoint)
        # More or fewer epochs, and more patience, are what resuming is for.
        free = {"epochs", "reward_epochs", "patience"}
        mine = self._settings()
        changed = [name for name in mine if name not in free and mine[name] != settings.get(name)]
        if changed:
            detail = ", ".join(f"{name} {settings.get(name)} -> {mine[name]}" for name in changed)
            raise OptionError(
                f"this training was begun with other settings ({detail}); resume with the old "
                "ones or choose another --out"
            )
        if self.history[-1].phase != self._phases[0].name:
            self._phase_named(self.history[-1].phase).begin()
        restore(self.captioner.decoder, arrays)

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
        best = self.folder / "decoder.weights.h5"
        while (phase := self._unfinished()) is not None:
            index = len(self.history)
            if index and self.history[-1].phase != phase.name:
                load_weights(self.captioner.decoder, best)
                phase.begin()
            started = time.perf_counter()
            # Dropout then depends on the epoch, not on how often the training was interrupted.
            keras.utils.set_random_seed(self.options.seed * 1000 + index)
            report = functools.partial(on_batch, index + 1) if on_batch else _silent
            learned = phase.learn(index, report)
            with self._averaged_weights():
                said = self._captions.best(self._dev_features, DecodingOptions(beam=1))
                epoch = Epoch(
                    epoch=index + 1,
                    phase=phase.name,
                    **vars(learned),
                    bleu=corpus_bleu(said, self._dev_words),
                    seconds=time.perf_counter() - started,
                )
                self.history.append(epoch)
                if epoch is self.best():
                    save_weights(self.captioner.decoder, best)
            write_checkpoint(
                self.checkpoint, self.captioner.decoder, self.history, self._settings()
            )
            if on_epoch:
                on_epoch(epoch)
        load_weights(self.captioner.decoder, best)

    def best(self) -> Epoch:
        """The epoch with the highest dev BLEU-4, then BLEU-3 and so on, the earliest of equals."""
        return _best(self.history)

    def _unfinished(self) -> Phase | None:
        """Give the phase that goes on or begins: each runs to its end or out of patience."""
        for phase in self._phases:
            epochs = [epoch for epoch in self.history if epoch.phase == phase.name]
            if len(epochs) >= phase.epochs:
                continue
            if epochs and epochs[-1].epoch - _best(epochs).epoch >= self.options.patience:
                continue
            return phase
        return None

    def _phase_named(self, name: str) -> Phase:
        return next(phase for phase in self._phases if phase.name == name)

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Put the running average of the weights in their place for a while."""
        if not self.options.average:
            yield
            return
        swap = keras.callbacks.SwapEMAWeights()
        swap.set_model(self.captioner.decoder)
        swap.on_test_begin()
        try:
            yield
        finally:
            swap.on_test_end()

    def _settings(self) -> dict[str, Any]:
        """What must not change between the parts of one training."""
        design = self.captioner.design
        settings = dataclasses.asdict(self.options) | {
            "decoder": design.decoder,
            "decoder_options": dataclasses.asdict(design.decoder_options),
            "vocabulary": len(design.vocabulary),
            "encoder": design.encoder,
            "encoder_options": dataclasses.asdict(design.encoder_options),
        }
        # As a checkpoint gives it back: JSON has lists for tuples.
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain


def _best(history: Sequence[Epoch]) -> Epoch:
    return max(history, key=lambda epoch: epoch.bleu[::-1])


def _silent(done: int, total: int) -> None:
    """Tell nobody of progress."""
