"""Training the encoder end to end with the decoder, on photographs in random views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from edgecap.captioner import TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.training.compiling import compile_model
from edgecap.training.learned import Learned, Report
from edgecap.training.material import Material
from edgecap.training.options import TrainingOptions
from edgecap.training.teachers import Answers
from edgecap_runtime.errors import OptionError


class Joint(keras.Model):  # type: ignore[misc]
    """Encoder and decoder as one graph, each photograph encoded once for all its captions."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        super().__init__(name="joint")
        self.encoder = encoder
        self.decoder = decoder

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Run captions of a few photographs.

        Args:
            inputs: "pixels" float32 [images, H, W, 3], "images" int32 [rows], the photograph of
                each caption, and "ids" int32 [rows, T].
            training: whether the decoder drops. The encoder's batch norm keeps the statistics of
                ImageNet: those of a few photographs a step would move it for the worse, and some
                networks come with theirs folded into the weights.

        Returns:
            The decoder's logits, float32 [rows, T, V].
        """
        features = self.encoder(inputs["pixels"], training=False)
        features = ops.take(features, inputs["images"], axis=0)
        return self.decoder({"features": features, "ids": inputs["ids"]}, training=training)


class EncoderPhase:
    """Cross-entropy of the next word, through the decoder into the encoder."""

    name = "encoder"

    def __init__(
        self, captioner: TrainedCaptioner, options: TrainingOptions, material: Material
    ) -> None:
        """Keep what `begin` needs.

        Raises:
            OptionError: the decoder learns from prefixes, or the encoder has no such layer.
        """
        self.epochs = options.tune_epochs
        self._options = options
        self._material = material
        self._captioner = captioner
        if not self.epochs:
            return
        family = DECODERS[captioner.design.decoder]
        if family.learns_from != "captions":
            raise OptionError(
                f"tune_epochs is {self.epochs}, but decoder {family.name!r} learns from prefixes, "
                "each of which would take the encoder again; set training.tune_epochs to 0"
            )
        self._check_layer()
        self._answers = Answers(options, len(captioner.design.vocabulary), material.teachers)
        self._captions = self._encoded()

    def begin(self) -> None:
        """Compile encoder and decoder together; layers before `tune_from` stay as they are."""
        learns = not self._options.tune_from
        for layer in _layers(self._captioner.encoder):
            learns = learns or layer.name == self._options.tune_from
            layer.trainable = learns
        self.model = Joint(self._captioner.encoder, self._captioner.decoder)
        compile_model(self.model, self._options, self._options.tune_rate, self._answers.loss())

    def learn(self, epoch: int, done: int, report: Report) -> Learned:
        """Learn from every photograph once."""
        options = self._options
        dice = np.random.default_rng((options.seed, epoch))
        order = dice.permutation(len(self._captions))
        steps = range(0, len(order), options.tune_images)
        total = words = 0.0
        rate = options.tune_rate
        for place, start in enumerate(steps):
            rate = options.tune_rate * (1 - (done + place / len(steps)) / options.tune_epochs)
            self.model.optimizer.learning_rate = rate
            inputs, targets, weights = self._batch(order[start : start + options.tune_images], dice)
            loss = self.model.train_on_batch(inputs, targets, sample_weight=weights)
            count = float(weights.sum())
            total, words = total + float(loss) * count, words + count
            report(place + 1, len(steps))
        return Learned(rate, loss=total / words)

    def dev_features(self) -> np.ndarray:
        """Encode dev by the encoder as it is now."""
        return self._material.photographs.dev_features_now(self._captioner.encoder)

    def end(self) -> None:
        """Give all layers back as they came."""
        for layer in _layers(self._captioner.encoder):
            layer.trainable = True

    def _batch(
        self, images: np.ndarray, dice: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        pixels = self._material.photographs.training_pixels(images, dice).astype(np.float32)
        rows = np.concatenate([np.full(len(self._captions[i]), n) for n, i in enumerate(images)])
        # Of one width, for a graph with an encoder in it takes long to be traced anew.
        ids = np.concatenate([self._captions[i] for i in images])
        inputs = {"pixels": pixels, "images": rows.astype(np.int32), "ids": ids[:, :-1]}
        weights = np.concatenate([self._weights[i] for i in images])
        targets = self._answers.of(images[rows], inputs["ids"], ids[:, 1:])
        return inputs, targets, weights

    def _encoded(self) -> list[np.ndarray]:
        """Give each photograph's captions int32 [captions, longest + 2], start and end in them."""
        vocabulary, longest = self._captioner.design.vocabulary, self._options.longest
        captions: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        for several in self._material.words:
            ids = np.full((len(several), longest + 2), vocabulary.padding_id or 0, np.int32)
            weights = np.zeros((len(several), longest + 1), np.float32)
            for row, words in enumerate(several):
                known = vocabulary.ids_of(words[:longest])
                whole = [vocabulary.start_id, *known, vocabulary.end_id]
                ids[row, : len(whole)] = whole
                weights[row, : len(whole) - 1] = 1
            captions.append(ids)
            self._weights.append(weights)
        return captions

    def _check_layer(self) -> None:
        names = [layer.name for layer in _layers(self._captioner.encoder)]
        first = self._options.tune_from
        if first and first not in names:
            raise OptionError(
                f"tune_from is {first!r}, which is no layer of this encoder; its layers are "
                f"{', '.join(names)}"
            )


def _layers(encoder: Any) -> list[Any]:
    """Give the layers of the network inside, in their order."""
    layers: list[Any] = encoder.layers[-1].layers
    return layers
