"""Self-critical training: captions are sampled, scored whole, and made likelier or less likely.

Rennie, Marcheret, Mroueh, Ross, Goel: "Self-critical Sequence Training for Image Captioning",
CVPR 2017 (arXiv:1612.00563), equation 11: REINFORCE on CIDEr-D, here with the caption's own BLEU
beside it. By default the baseline of a sample is the mean score of the image's other samples (Luo:
"A Better Variant of Self-Critical Sequence Training", 2020, arXiv:2003.09971). With the greedy
caption's score, the paper's, nearly every sample of a decoder trained with dropout and label
smoothing scores below it: all are made less likely, ends of captions too, and dev BLEU-1 fell from
58 to 28 in two epochs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from edgecap.inference import KerasCaptions
from edgecap.metrics import BleuJudge, DocumentFrequencies, UnigramJudge
from edgecap.training.batches import BATCHES, Words
from edgecap.training.lookalikes import Lookalikes
from edgecap.training.options import TrainingOptions
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.vocabulary import Vocabulary

_END = "</s>"
"""Stands for the end of a caption in its n-grams: one that stops at "on a" then scores worse. The
known ugliness of captions trained on CIDEr-D is that they learn to end so."""

_IMAGES = 256
"""Images whose captions are sampled together."""


class SelfCritic:
    """One epoch's worth of sampling, scoring and learning."""

    def __init__(
        self,
        decoder: Any,
        learns_from: str,
        captions: KerasCaptions,
        vocabulary: Vocabulary,
        options: TrainingOptions,
        *,
        features: np.ndarray,
        words: Words,
    ) -> None:
        """Weigh the references.

        Args:
            decoder: a compiled decoder.
            learns_from: a name in `BATCHES`.
            captions: the same decoder, to say captions with.
            vocabulary: its words.
            options: `samples`, `longest`, batch sizes and seed.
            features: float32 [views, images, F].
            words: the images' captions; document frequencies are theirs.
        """
        self._decoder = decoder
        self._batches = BATCHES[learns_from]
        self._captions = captions
        self._vocabulary = vocabulary
        # Every prefix of a sampled caption is learned from, not a draw of some.
        self._options = dataclasses.replace(options, prefixes=options.longest + 1)
        self._features = features
        ended = [[[*caption, _END] for caption in of_image] for of_image in words]
        frequencies = DocumentFrequencies(ended)
        self._consensus = [frequencies.judge(of_image) for of_image in ended]
        self._precision = [UnigramJudge(of_image) for of_image in words]
        self._bleu4 = [BleuJudge(of_image) for of_image in ended] if options.reward_bleu4 else []
        self._lookalikes = Lookalikes(features[0]) if options.reward_unlike else None
        self._rivals: dict[int, np.ndarray] = {}

    def learn(self, seed: int, report: Callable[[int, int], None]) -> float:
        """Learn from all images once; gives the mean reward of the sampled captions.

        seed: of order, views and samples; report: called with (rounds done, rounds in all).
        """
        dice = np.random.default_rng((self._options.seed, seed))
        order = dice.permutation(self._features.shape[1])
        views = dice.integers(0, len(self._features), len(order))
        rounds = [order[start : start + _IMAGES] for start in range(0, len(order), _IMAGES)]
        rewards: list[float] = []
        for place, images in enumerate(rounds):
            features = self._features[views[images], images]
            rewards += self._round(images, features, dice)
            report(place + 1, len(rounds))
        return float(np.mean(rewards))

    def _round(
        self, images: np.ndarray, features: np.ndarray, dice: np.random.Generator
    ) -> list[float]:
        """Sample, score and learn; gives the samples' rewards."""
        samples = self._options.samples
        if self._lookalikes is not None:
            # The same ones for all samples of an image, which are compared with each other.
            drawn = self._lookalikes.draw(images, dice)
            self._rivals = dict(zip(images.tolist(), drawn, strict=True))
        rows = np.repeat(features, samples, axis=0)
        said = self._captions.sampled(rows, self._options.longest, dice)
        captions = [said[start : start + samples] for start in range(0, len(said), samples)]
        scores = np.array(
            [
                [self._score(image, words) for words in of_image]
                for image, of_image in zip(images, captions, strict=True)
            ]
        )
        advantages = self._advantages(scores, images, features)
        batches = self._batches(features[None], captions, self._vocabulary, self._options)
        for inputs, targets, weights in _weighed(batches, advantages.ravel().astype(np.float32)):
            self._decoder.train_on_batch(inputs, targets, sample_weight=weights)
        return scores.ravel().tolist()

    def _advantages(
        self, scores: np.ndarray, images: np.ndarray, features: np.ndarray
    ) -> np.ndarray:
        """Compare scores [images, samples] with what each sample is judged by."""
        if self._options.reward_baseline == "greedy":
            search = DecodingOptions(beam=1, max_words=self._options.longest)
            said = self._captions.best(features, search)
            greedy = [self._score(image, words) for image, words in zip(images, said, strict=True)]
            return np.asarray(scores - np.array(greedy)[:, None])
        # Each sample against the mean of the image's others.
        samples = self._options.samples
        others: np.ndarray = (scores - scores.mean(axis=1, keepdims=True)) * samples / (samples - 1)
        return others

    def _score(self, image: int, words: list[str]) -> float:
        options = self._options
        # One that was cut has no end, and no end's n-grams.
        ended = [*words, *([_END] if len(words) < options.longest else [])]
        score = self._consensus[image].score(ended)
        score += options.reward_bleu * self._precision[image].score(words)
        if options.reward_bleu4:
            score += options.reward_bleu4 * self._bleu4[image].score(ended)
        if options.reward_unlike:
            rivals = [self._consensus[rival].score(ended) for rival in self._rivals[image]]
            score -= options.reward_unlike * float(np.mean(rivals))
        return score


def _weighed(batches: Any, advantages: np.ndarray) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Give the batches with each word weighed by its caption's advantage, over all words."""
    for place in range(len(batches)):
        inputs, targets, weights = batches[place]
        advantage = advantages[batches.captions_in(place)][:, None]
        yield inputs, targets, weights * advantage / batches.words_in(place)


def hold_statistics(decoder: Any) -> None:
    """Freeze batch statistics, which sampled batches would move. Dropout stays: without it the
    captions of the training images were learned by heart within an epoch."""
    for layer in decoder._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
