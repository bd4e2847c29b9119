"""Training the encoder end to end with the decoder, on photographs in random views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from edgecap.captioner import TrainedCaptioner
from edgecap.decoders import DECODERS
from edgecap.training.batches import Batch, EncodedCaptions
from edgecap.training.compiling import compile_model
from edgecap.training.learned import Learned, Report, learn_words
from edgecap.training.material import Material
from edgecap.training.naming import Naming, named_words
from edgecap.training.options import TrainingOptions
from edgecap.training.teachers import Answers
from edgecap_runtime.errors import OptionError


class Joint(keras.Model):  # type: ignore[misc]
    """Encoder and decoder as one graph, each photograph encoded once for all its captions."""

    def __init__(self, encoder: Any, decoder: Any, naming: Naming | None = None) -> None:
        super().__init__(name="joint")
        self.encoder = encoder
        self.decoder = decoder
        self.naming = naming

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Run captions of a few photographs.

        Args:
            inputs: "pixels" float32 [images, H, W, 3], "images" int32 [rows], the photograph of
                each caption, and "ids" int32 [rows, T]; "named" float32 [images, V], as
                `Naming` has it, if there is one.
            training: whether the decoder drops. The encoder's batch norm keeps the statistics of
                ImageNet: those of a few photographs a step would move it for the worse, and some
                networks come with theirs folded into the weights.

        Returns:
            The decoder's logits, float32 [rows, T, V].
        """
        features = self.encoder(inputs["pixels"], training=False)
        if self.naming is not None:
            self.add_loss(self.naming(features, inputs["named"]))
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
        self._captions = EncodedCaptions(
            material.words, captioner.design.vocabulary, options.longest
        )
        self._named = (
            named_words(material.words, captioner.design.vocabulary)
            if options.tune_naming
            else None
        )

    def begin(self) -> None:
        """Compile encoder and decoder together; layers before `tune_from` stay as they are."""
        learns = not self._options.tune_from
        for layer in _layers(self._captioner.encoder):
            learns = learns or layer.name == self._options.tune_from
            layer.trainable = learns
        naming = None
        if self._named is not None:
            naming = Naming(self._options.tune_naming, self._named.mean(axis=0))
        self.model = Joint(self._captioner.encoder, self._captioner.decoder, naming)
        compile_model(self.model, self._options, self._options.tune_rate, self._answers.loss())

    def learn(self, epoch: int, done: int, report: Report) -> Learned:
        """Learn from every photograph once."""
        options = self._options
        dice = np.random.default_rng((options.seed, epoch))
        order = dice.permutation(len(self._material.words))
        starts = range(0, len(order), options.tune_images)
        left = 1 - done / options.tune_epochs

        def batches() -> Iterator[Batch]:
            for place, start in enumerate(starts):
                over = place / len(starts) / options.tune_epochs
                self.model.optimizer.learning_rate = options.tune_rate * (left - over)
                yield self._batch(order[start : start + options.tune_images], dice)

        loss = learn_words(self.model, batches(), len(starts), report)
        return Learned(float(self.model.optimizer.learning_rate), loss=loss)

    def dev_features(self) -> np.ndarray:
        """Encode dev by the encoder as it is now."""
        return self._material.photographs.dev_features_now(self._captioner.encoder)

    def end(self) -> None:
        """Give all layers back as they came."""
        for layer in _layers(self._captioner.encoder):
            layer.trainable = True

    def _batch(self, images: np.ndarray, dice: np.random.Generator) -> Batch:
        captions = self._captions
        pixels = self._material.photographs.training_pixels(images, dice).astype(np.float32)
        of_each = [np.flatnonzero(captions.images == image) for image in images]
        rows = np.concatenate(of_each)
        places = np.repeat(np.arange(len(images), dtype=np.int32), [len(own) for own in of_each])
        # Of one width, for a graph with an encoder in it takes long to be traced anew.
        ids = captions.inputs[rows]
        targets = self._answers.of(captions.images[rows], ids, captions.targets[rows])
        weights = captions.weights_of(rows, ids.shape[1])
        inputs = {"pixels": pixels, "images": places, "ids": ids}
        if self._named is not None:
            inputs["named"] = self._named[images]
        return inputs, targets, weights

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
