"""One training from its data to its scores: what the command does, for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgecap.captioner import Design, TrainedCaptioner, write_design
from edgecap.data import Dataset, load_dataset
from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.evaluation import score_captions
from edgecap.features import Progress, image_features
from edgecap.files import save_weights
from edgecap.inference import KerasCaptions
from edgecap.settings import apply_settings, check_parts
from edgecap.training.loop import Trainer
from edgecap.training.options import TrainingOptions
from edgecap.vocabulary import build_vocabulary
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.options import search_name
from edgecap_runtime.preparation import Preparation

_DEFAULTS = DecodingOptions(beam=3, length_penalty=0.5)
"""Chosen on Flickr8k dev: 0.7 gives longer captions and half a point of BLEU-1 less there."""


@dataclass
class TrainingSession:
    """Data, design and features of one training."""

    dataset: Dataset
    """Photographs and captions, in splits."""

    design: Design
    """What is trained."""

    options: TrainingOptions
    """How it is trained."""

    captioner: TrainedCaptioner | None = None
    """Set by `encode`."""

    features: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """Float32 [views, images, F] of "train", and [images, F] of "dev"; set by `encode`."""

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        images: Path | None = None,
        encoder: str = "mobilenet",
        decoder: str = "lstm",
        settings: Sequence[str] = (),
        minimum_count: int = 5,
        name: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> TrainingSession:
        """Read the data, count the vocabulary from the training split alone, settle the design.

        Raises:
            EdgecapError: no dataset, a setting that is none, an unknown encoder or decoder.
        """
        check_parts(settings, ("encoder", "decoder", "training"))
        family = ENCODERS[encoder]
        encoder_options = apply_settings(
            "encoder", EncoderOptions(size=family.default_size), settings
        )
        decoder_options = apply_settings("decoder", DECODERS[decoder].options(), settings)
        options = apply_settings("training", TrainingOptions(), settings)
        dataset = load_dataset(data, images=images, check_images=True, progress=progress)
        words = [caption for photo in dataset.split("train") for caption in photo.captions]
        dataset.split("dev")  # refuse now rather than after an epoch
        design = Design(
            name=name or f"{encoder}-{decoder}",
            encoder=encoder,
            encoder_options=encoder_options,
            decoder=decoder,
            decoder_options=decoder_options,
            vocabulary=build_vocabulary(words, minimum_count),
            preparation=Preparation(
                height=encoder_options.size,
                width=encoder_options.size,
                fit="stretch",
                resampling="bilinear",
                scaling=family.scaling(),
            ),
            defaults=_DEFAULTS,
            provenance={
                "data": dataset.name,
                "training": dataclasses.asdict(options),
                "keras": keras.__version__,
                "keras_backend": keras.config.backend(),
                **(provenance or {}),
            },
        )
        return cls(dataset, design, options)

    def encode(
        self,
        encoder_weights: str | Path | None,
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Build the captioner and compute the features of train and dev."""
        keras.utils.set_random_seed(self.options.seed)
        captioner = TrainedCaptioner.new(self.design, encoder_weights)
        self.captioner = captioner
        train = [photo.path for photo in self.dataset.split("train")]
        dev = [photo.path for photo in self.dataset.split("dev")]
        views = (False, True) if self.options.mirrored else (False,)
        total = len(train) * len(views) + len(dev)

        def features(paths: list[Path], mirrored: bool, before: int) -> np.ndarray:
            return image_features(
                captioner.encoder,
                self.design.preparation,
                paths,
                mirrored=mirrored,
                cache=cache,
                progress=lambda done, _: progress(before + done, total) if progress else None,
            )

        self.features = {
            "train": np.stack(
                [
                    features(train, mirrored, place * len(train))
                    for place, mirrored in enumerate(views)
                ]
            ),
            "dev": features(dev, False, total - len(dev)),
        }

    def trainer(self, folder: Path) -> Trainer:
        """Make the trainer, and write what is known of the run before the first epoch."""
        if self.captioner is None:
            raise RuntimeError("encode() comes before trainer()")
        save_weights(self.captioner.encoder, folder / "encoder.weights.h5")
        write_design(self.design, folder)
        words = {
            split: [photo.captions for photo in self.dataset.split(split)]
            for split in ("train", "dev")
        }
        return Trainer(
            self.captioner,
            folder,
            self.options,
            train=(self.features["train"], words["train"]),
            dev=(self.features["dev"], words["dev"]),
        )

    def finish(
        self, folder: Path, trainer: Trainer, *, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Score the best epoch on dev, greedy and beam, and write the run whole.

        Returns:
            {"best_epoch", "epochs", "seconds", "dev": {"greedy": figures, "beam 3": figures}}.
        """
        references = [photo.captions for photo in self.dataset.split("dev")]
        captions = KerasCaptions(trainer.captioner.decoder, self.design.vocabulary)
        default = self.design.defaults
        dev: dict[str, Any] = {}
        for options in (dataclasses.replace(default, beam=1), default):
            said = captions.best(self.features["dev"], options, progress=progress)
            dev[search_name(options.beam)] = score_captions(said, references)
        scores = {
            "best_epoch": trainer.best().epoch,
            "epochs": len(trainer.history),
            "seconds": round(sum(epoch.seconds for epoch in trainer.history), 1),
            "dev_images": len(references),
            "dev": dev,
        }
        design = dataclasses.replace(
            self.design, provenance={**self.design.provenance, "scores": scores}
        )
        trainer.captioner.design = design
        # The weights are there already: the encoder's from the start, the best epoch's decoder.
        write_design(design, folder)
        return scores
