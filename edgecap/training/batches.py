"""Captions as training batches, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecap.training.options import TrainingOptions
from edgecap_runtime.vocabulary import Vocabulary

Words = Sequence[Sequence[Sequence[str]]]
"""For each image, its captions, each a sequence of words."""

Batch = tuple[dict[str, Any], np.ndarray, np.ndarray]
"""Inputs {"features" [rows, F], "ids" [rows, T]}, targets int32 [rows, T], and weights float32
[rows, T]: 1 at words, 0 at padding."""


class EncodedCaptions:
    """Captions as rows of ids, those of the first image first."""

    def __init__(self, captions: Words, vocabulary: Vocabulary, longest: int) -> None:
        """Encode the captions.

        Args:
            captions: for each image, its captions.
            vocabulary: gives the ids.
            longest: words of a caption, at most; longer ones are cut.
        """
        pairs = [
            (image, [*vocabulary.ids_of(words[:longest]), vocabulary.end_id])
            for image, several in enumerate(captions)
            for words in several
        ]
        self.images = np.array([image for image, _ in pairs], np.int32)
        self.lengths = np.array([len(ids) for _, ids in pairs], np.int32)
        self.targets = np.full(
            (len(pairs), int(self.lengths.max())), vocabulary.padding_id or 0, np.int32
        )
        for row, (_, ids) in enumerate(pairs):
            self.targets[row, : len(ids)] = ids
        starts = np.full((len(pairs), 1), vocabulary.start_id, np.int32)
        self.inputs = np.concatenate([starts, self.targets[:, :-1]], axis=1)

    def weights_of(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Give float32 [rows, length], 1 at words and 0 at padding."""
        return (np.arange(length) < self.lengths[rows, None]).astype(np.float32)


class Batches(EncodedCaptions):
    """What a training learns from in one epoch, as numpy arrays for any Keras backend."""

    def __init__(
        self,
        features: np.ndarray,
        captions: Words,
        vocabulary: Vocabulary,
        options: TrainingOptions,
    ) -> None:
        """Encode the captions.

        Args:
            features: float32 [views, images, F]; a view is chosen by chance for each caption.
            captions: for each image, its captions.
            vocabulary: gives the ids; must have a padding id.
            options: batch sizes, longest caption and seed.
        """
        super().__init__(captions, vocabulary, options.longest)
        self.features = features
        self.options = options
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The epoch whose order is in force; setting it shuffles."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = value
        dice = np.random.default_rng((self.options.seed, value))
        self.views = dice.integers(0, len(self.features), len(self.lengths))
        self._batches = self._shuffled(dice)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        """Give one batch."""
        raise NotImplementedError

    def captions_in(self, index: int) -> np.ndarray:
        """Give the caption of each row of a batch, counted over all images in turn."""
        raise NotImplementedError

    def words_in(self, index: int) -> float:
        """Give the words of a batch, by which what is summed over it is divided."""
        raise NotImplementedError

    def _shuffled(self, dice: np.random.Generator) -> list[np.ndarray]:
        """Give what each batch of the epoch consists of."""
        raise NotImplementedError


class CaptionBatches(Batches):
    """Whole captions, padded at the end to the longest of their batch.

    They are sorted by length within pools of a few batches, not over the whole split: with
    batches of one length at a time dev BLEU-1 was seen to swing by eight points from epoch to
    epoch.
    """

    def __getitem__(self, index: int) -> Batch:
        """Give one batch of captions."""
        rows = self._batches[index]
        length = int(self.lengths[rows].max())
        inputs = {
            "features": self.features[self.views[rows], self.images[rows]],
            "ids": self.inputs[rows, :length],
        }
        return inputs, self.targets[rows, :length], self.weights_of(rows, length)

    def captions_in(self, index: int) -> np.ndarray:
        """Give the caption of each row."""
        return self._batches[index]

    def words_in(self, index: int) -> float:
        """Give how many words are learned."""
        return float(self.lengths[self._batches[index]].sum())

    def _shuffled(self, dice: np.random.Generator) -> list[np.ndarray]:
        batch, pool = self.options.batch, self.options.pool * self.options.batch
        batches = []
        order = dice.permutation(len(self.lengths))
        for rows in (order[start : start + pool] for start in range(0, len(order), pool)):
            if self.options.pool > 1:
                rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches += [rows[start : start + batch] for start in range(0, len(rows), batch)]
        return [batches[place] for place in dice.permutation(len(batches))]


class PrefixBatches(Batches):
    """Prefixes of captions, each with the word that follows it; no batch holds two lengths.

    A decoder that reads its words backwards too learns one word from each prefix. Of every
    caption some prefixes are drawn anew in each epoch, and true lengths need no padding.
    """

    def __getitem__(self, index: int) -> Batch:
        """Give one batch of prefixes; targets and weights have one column."""
        rows, length = self._batches[index][:, 0], int(self._batches[index][0, 1])
        inputs = {
            "features": self.features[self.views[rows], self.images[rows]],
            "ids": self.inputs[rows, :length],
        }
        targets = self.targets[rows, length - 1 : length]
        return inputs, targets, np.ones(targets.shape, np.float32)

    def captions_in(self, index: int) -> np.ndarray:
        """Give the caption of each row."""
        return self._batches[index][:, 0]

    def words_in(self, index: int) -> float:
        """Give those of a full batch, whatever this one holds.

        Few sampled captions are long. A batch of their last words would else turn the decoder as
        far as one of five hundred first words: it forgot how to caption within two epochs.
        """
        return float(self.options.prefix_batch)

    def _shuffled(self, dice: np.random.Generator) -> list[np.ndarray]:
        """Give for each batch int [rows, 2]: the caption, and the length of its prefix."""
        chance = dice.random(self.targets.shape)
        chance[np.arange(self.targets.shape[1]) >= self.lengths[:, None]] = np.inf
        drawn = np.argsort(chance, axis=1)[:, : self.options.prefixes]
        some = np.isfinite(np.take_along_axis(chance, drawn, axis=1))
        captions, places = np.nonzero(some)
        lengths = drawn[captions, places] + 1
        batches = []
        for length in np.unique(lengths):
            rows = dice.permutation(captions[lengths == length])
            pairs = np.stack([rows, np.full_like(rows, length)], axis=1)
            # Evenly: a last batch of a few rows would weigh as much as a whole one.
            batches += np.array_split(pairs, -(-len(pairs) // self.options.prefix_batch))
        return [batches[place] for place in dice.permutation(len(batches))]


BATCHES: dict[str, type[Batches]] = {"captions": CaptionBatches, "prefixes": PrefixBatches}
"""By what a decoder learns from; see `edgecap.decoders.Decoder`."""
