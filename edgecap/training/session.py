"""One training from its data to its scores: what the command does, for a program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from edgecap.captioner import Design, TrainedCaptioner, read_design, write_design
from edgecap.data import Dataset, load_dataset
from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.features import Progress
from edgecap.files import save_weights
from edgecap.inference import KerasCaptions, score_searches
from edgecap.lineage import how_made_before
from edgecap.settings import apply_settings, check_parts
from edgecap.training.curve import curve_of
from edgecap.training.loop import Trainer
from edgecap.training.material import Material
from edgecap.training.options import TrainingOptions
from edgecap.training.photographs import Photographs
from edgecap.training.teachers import Teacher
from edgecap.vocabulary import build_vocabulary
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import OptionError
from edgecap_runtime.preparation import Preparation

_DEFAULTS = DecodingOptions(beam=3, length_penalty=0.5)
"""Chosen on Flickr8k dev: 0.7 gives longer captions and half a point of BLEU-1 less there."""


@dataclass
class TrainingSession:
    """Data and design of one training."""

    dataset: Dataset
    """Photographs and captions, in splits."""

    design: Design
    """What is trained."""

    options: TrainingOptions
    """How it is trained."""

    begun_from: Path | None = None
    """A run whose weights are gone on from."""

    teachers: Sequence[Path] = ()
    """Runs whose answers are learned from."""

    captioner: TrainedCaptioner | None = None
    """Set by `encode`."""

    _material: Material | None = None
    _begun_with: str | None = None

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        images: Path | None = None,
        encoder: str | None = None,
        decoder: str | None = None,
        settings: Sequence[str] = (),
        minimum_count: int = 5,
        name: str | None = None,
        begun_from: Path | None = None,
        teachers: Sequence[Path] = (),
        provenance: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> TrainingSession:
        """Read the data, settle the design.

        The vocabulary is counted from the training split alone, or that of the run that the
        training begins from; so are encoder ("mobilenet" by default) and decoder ("lstm").

        Raises:
            EdgecapError: no dataset, a setting that is none, an unknown encoder or decoder, one
                that is not that of `begun_from`, a run that is none.
        """
        check_parts(settings, ("encoder", "decoder", "training"))
        options = apply_settings("training", TrainingOptions(), settings)
        before = read_design(begun_from) if begun_from else None
        if before is not None:
            make = _same_design(before, encoder, decoder, settings)
        else:
            make = _new_design(encoder or "mobilenet", decoder or "lstm", settings, options)
        dataset = load_dataset(data, images=images, check_images=True, progress=progress)
        train = dataset.split("train")
        dataset.split("dev")  # refuse now rather than after an epoch
        about: dict[str, Any] = {
            "data": dataset.name,
            "training": dataclasses.asdict(options),
            "keras": keras.__version__,
            "keras_backend": keras.config.backend(),
            **(provenance or {}),
        }
        if before is not None:
            about["begun_from"] = how_made_before(before.name, before.provenance)
        if teachers:
            known = [read_design(teacher) for teacher in teachers]
            about["teachers"] = [how_made_before(each.name, each.provenance) for each in known]
        if before is not None:
            vocabulary = before.vocabulary
        else:
            words = [caption for photo in train for caption in photo.captions]
            vocabulary = build_vocabulary(words, minimum_count)
        design = make(vocabulary=vocabulary, provenance=about)
        design = dataclasses.replace(design, name=name or design.name)
        return cls(dataset, design, options, begun_from, tuple(teachers))

    def encode(
        self,
        encoder_weights: str | Path | None,
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Build the captioner and compute the features that the training begins with.

        Args:
            encoder_weights: "imagenet", a path of weights or of a run, or None for random ones;
                those of the run that the training begins from take their place.
            cache: folder for features; None is the user's.
            progress: called with (images done, images in all) for one encoder after another, and
                later, should the encoder learn.

        Raises:
            EdgecapError: weights that don't fit, or a teacher with other words.
        """
        keras.utils.set_random_seed(self.options.seed)
        if encoder_weights and not self.begun_from and Path(encoder_weights).is_dir():
            other = read_design(Path(encoder_weights))
            made = how_made_before(other.name, other.provenance)
            about = {**self.design.provenance, "encoder_of": made}
            self.design = dataclasses.replace(self.design, provenance=about)
        captioner = TrainedCaptioner.new(self.design, None if self.begun_from else encoder_weights)
        if self.begun_from:
            captioner.load_weights(self.begun_from)
            self._begun_with = captioner.weights_sha256
        self.captioner = captioner
        self.design = captioner.design
        options = self.options
        photographs = Photographs(self.dataset, self.design.preparation, options, cache)
        words = {
            split: [photo.captions for photo in self.dataset.split(split)]
            for split in ("train", "dev")
        }
        self._material = Material(
            encoder=captioner.encoder,
            words=words["train"],
            dev_words=words["dev"],
            photographs=photographs,
            teachers=[self._teacher(folder, cache, progress) for folder in self.teachers],
            progress=progress,
        )
        encoder_learns_first = options.tune_epochs > 0 and not options.epochs
        if not encoder_learns_first:
            self._material.encode()

    @property
    def material(self) -> Material:
        """What is learned from; there once `encode` was called."""
        if self._material is None:
            raise RuntimeError("encode() comes first")
        return self._material

    def trainer(self, folder: Path) -> Trainer:
        """Make the trainer, and write what is known of the run before the first epoch."""
        if self.captioner is None or self._material is None:
            raise RuntimeError("encode() comes before trainer()")
        trainer = Trainer(self.captioner, folder, self.options, self._material, self._begun_with)
        # A training that goes on may have taught the encoder.
        if not trainer.checkpoint.exists():
            save_weights(self.captioner.encoder, folder / "encoder.weights.h5")
            write_design(self.design, folder)
        return trainer

    def _teacher(self, folder: Path, cache: Path | None, progress: Progress | None) -> Teacher:
        captioner = TrainedCaptioner.load(folder)
        theirs, mine = captioner.design.vocabulary, self.design.vocabulary
        if theirs != mine:
            raise OptionError(
                f"the teacher {str(folder)!r} knows {len(theirs)} words which are not the "
                f"{len(mine)} of this training; train it on the same data with the same "
                "--minimum-count"
            )
        paths = [photo.path for photo in self.dataset.split("train")]
        features = captioner.features(paths, cache=cache, progress=progress)
        return Teacher(captioner.decoder, features, DECODERS[self.design.decoder].learns_from)

    def finish(
        self, folder: Path, trainer: Trainer, *, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Score the best epoch on dev, greedy and beam, and write the run whole.

        Returns:
            {"best_epoch", "epochs", "seconds", "dev": {"greedy": figures, "beam 3": figures}}.
        """
        references = [photo.captions for photo in self.dataset.split("dev")]
        captions = KerasCaptions(trainer.captioner.decoder, self.design.vocabulary)
        dev = score_searches(
            captions, trainer.dev_features, references, self.design.defaults, progress
        )
        scores = {
            "best_epoch": trainer.best().epoch,
            "epochs": len(trainer.history),
            "seconds": round(sum(epoch.seconds for epoch in trainer.history), 1),
            "dev_images": len(references),
            "dev": dev,
        }
        about = {**self.design.provenance, "curve": curve_of(trainer.history), "scores": scores}
        design = dataclasses.replace(self.design, provenance=about)
        trainer.captioner.design = design
        # The weights are there already: those of the best epoch.
        write_design(design, folder)
        return scores


def _new_design(
    encoder: str, decoder: str, settings: Sequence[str], options: TrainingOptions
) -> Callable[..., Design]:
    """Settle all of a design but its vocabulary and provenance, which make one of it."""
    if not options.epochs:
        raise OptionError(
            "epochs is 0, but without a run to begin from nothing is known yet; give a whole "
            "number above 0, or --from RUN"
        )
    family = ENCODERS[encoder]
    begun = EncoderOptions(size=family.default_size, pooling=DECODERS[decoder].pooling)
    encoder_options = apply_settings("encoder", begun, settings)
    return functools.partial(
        Design,
        name=f"{encoder}-{decoder}",
        encoder=encoder,
        encoder_options=encoder_options,
        decoder=decoder,
        decoder_options=apply_settings("decoder", DECODERS[decoder].options(), settings),
        preparation=Preparation(
            height=encoder_options.size,
            width=encoder_options.size,
            fit="stretch",
            resampling="bilinear",
            scaling=family.scaling(),
        ),
        defaults=_DEFAULTS,
    )


def _same_design(
    before: Design, encoder: str | None, decoder: str | None, settings: Sequence[str]
) -> Callable[..., Design]:
    """As `_new_design`, for a run that is gone on from; its encoder and decoder can't be others."""
    for part, wanted, there in (
        ("encoder", encoder, before.encoder),
        ("decoder", decoder, before.decoder),
    ):
        if wanted is not None and wanted != there:
            raise OptionError(
                f"the run to begin from has the {part} {there!r}, not {wanted!r}; leave --{part} "
                "out, or begin without --from"
            )
    for setting in settings:
        if setting.startswith("encoder."):
            raise OptionError(
                f"--set {setting!r} can't change the encoder of the run to begin from; leave it out"
            )
    decoder_options = apply_settings("decoder", before.decoder_options, settings)
    return functools.partial(dataclasses.replace, before, decoder_options=decoder_options)
