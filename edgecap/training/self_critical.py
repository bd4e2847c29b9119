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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgecap.inference import KerasCaptions
from edgecap.training.batches import BATCHES, Words
from edgecap.training.lookalikes import Lookalikes
from edgecap.training.options import TrainingOptions
from edgecap.training.reward import Reward
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.vocabulary import Vocabulary

_IMAGES = 256
"""Images whose captions are sampled together."""

Scorer = Callable[[int, list[str]], float]
"""From an image's place in a round and words to what they are worth."""


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
        """Prepare to score.

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
        self._reward = Reward(words, options)
        self._lookalikes = Lookalikes(features[0]) if options.reward_unlike else None

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
        score = self._scorer(images, dice)
        rows = np.repeat(features, samples, axis=0)
        said = self._captions.sampled(rows, self._options.longest, dice)
        captions = [said[start : start + samples] for start in range(0, len(said), samples)]
        scores = np.array(
            [[score(place, words) for words in own] for place, own in enumerate(captions)]
        )
        advantages = self._advantages(scores, features, score)
        batches = self._batches(features[None], captions, self._vocabulary, self._options)
        for inputs, targets, weights in _weighed(batches, advantages.ravel().astype(np.float32)):
            self._decoder.train_on_batch(inputs, targets, sample_weight=weights)
        return scores.ravel().tolist()

    def _scorer(self, images: np.ndarray, dice: np.random.Generator) -> Scorer:
        """Give what scores the captions of this round's images, by their places in it."""
        rivals: Sequence[Sequence[int]] = [()] * len(images)
        if self._lookalikes is not None:
            # The same ones for all samples of an image, which are compared with each other.
            rivals = self._lookalikes.draw(images, dice).tolist()
        return lambda place, words: self._reward.of(int(images[place]), words, rivals[place])

    def _advantages(self, scores: np.ndarray, features: np.ndarray, score: Scorer) -> np.ndarray:
        """Compare scores [images, samples] with what each sample is judged by."""
        if self._options.reward_baseline == "greedy":
            search = DecodingOptions(beam=1, max_words=self._options.longest)
            said = self._captions.best(features, search)
            greedy = [score(place, words) for place, words in enumerate(said)]
            return np.asarray(scores - np.array(greedy)[:, None])
        # Each sample against the mean of the image's others.
        samples = self._options.samples
        others: np.ndarray = (scores - scores.mean(axis=1, keepdims=True)) * samples / (samples - 1)
        return others


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
