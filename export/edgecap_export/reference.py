"""What the Keras model itself says: the trained graph on whole prefixes, searched here.

The yardstick of every export. It shares no decoding code with the runtime and carries no state:
each word comes from the whole prefix before it, as in training. Images are searched together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecap_export.progress import Progress
from edgecap_export.source import CaptionerSource
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.vocabulary import Vocabulary

__all__ = ["PrefixModel", "Reference", "compute_reference", "greedy_captions"]

_ROWS = 128
_IMAGES = 32

_USUAL_BEAM = 3
"""See `proven_beam`."""

Words = tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """What Keras says about some images; can be used for several exports of one captioner."""

    features: NDArray[np.float32]
    """Encoder's features [images, F]."""
    greedy: tuple[Words, ...]
    """Word ids of each image's greedy caption, without start and end."""
    beam: tuple[Words, ...]
    """Word ids of each image's best caption by beam search."""


class PrefixModel:
    """Encoder and training graph of a captioner, compiled."""

    def __init__(self, source: CaptionerSource) -> None:
        import tensorflow as tf

        def features(pixels: Any) -> Any:
            return source.encoder(tf.cast(pixels, tf.float32), training=False)

        size = (source.preparation.height, source.preparation.width)
        # Of any number of images, so that it is traced once.
        taken = [tf.TensorSpec([None, *size, 3], tf.uint8)]
        self._features = tf.function(features, autograph=False, input_signature=taken)
        self._every = _ByLength(source.decoder.prefix_logits)
        self._last = _ByLength(source.decoder.next_logits)
        self._start_id = source.vocabulary.start_id

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images, uint8 [images, H, W, 3] to float32 [images, F]."""
        return np.asarray(self._features(pixels), np.float32)

    def log_probabilities(
        self, features: NDArray[np.float32], prefixes: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Predict after each place, [rows, F] and [rows, T] to [rows, T + 1, V].

        Place 0 is the prediction after the start id alone, which is put before the prefixes.
        """
        return self._every(features, self._started(prefixes))

    def last(self, features: NDArray[np.float32], prefixes: Sequence[Words]) -> NDArray[np.float64]:
        """Predict the next word after prefixes of one length, [rows, V]."""
        ids = np.array(prefixes, np.int32).reshape(len(prefixes), -1)
        return self._last(features, self._started(ids))

    def _started(self, prefixes: NDArray[np.int32]) -> NDArray[np.int32]:
        start = np.full((len(prefixes), 1), self._start_id, np.int32)
        return np.concatenate([start, prefixes], axis=1)


class _ByLength:
    """A function of features [rows, F] and ids [rows, T] to logits, traced once for each T.

    Bare prefixes: no padding that a graph might read.
    """

    def __init__(self, logits: Callable[[Any, Any], Any]) -> None:
        import tensorflow as tf

        self._function = tf.function(logits, autograph=False)
        self._traced: dict[int, Any] = {}

    def __call__(
        self, features: NDArray[np.float32], ids: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Give log probabilities, a portion of the rows at a time."""
        import tensorflow as tf

        (rows, length), width = ids.shape, features.shape[1]
        if length not in self._traced:
            self._traced[length] = self._function.get_concrete_function(
                tf.TensorSpec([None, width], tf.float32), tf.TensorSpec([None, length], tf.int32)
            )
        parts = []
        for at in range(0, rows, _ROWS):
            portion = (tf.constant(array[at : at + _ROWS]) for array in (features, ids))
            parts.append(log_softmax(np.asarray(self._traced[length](*portion))))
        return np.concatenate(parts)


def log_softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Give log probabilities over the last axis, in double precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def proven_beam(defaults: DecodingOptions) -> DecodingOptions:
    """Give the beam search that a file is proven by: its own, or one of 3 rows where its own is
    greedy, for whoever uses it may ask for a beam."""
    return defaults if defaults.beam > 1 else defaults.changed(beam=_USUAL_BEAM)


def compute_reference(
    source: CaptionerSource,
    pixels: NDArray[np.uint8],
    model: PrefixModel,
    progress: Progress,
) -> Reference:
    """Caption images, uint8 [images, H, W, 3], greedily and by `proven_beam`."""
    parts = []
    for at in range(0, len(pixels), _IMAGES):
        progress("reference", at, 3 * len(pixels))
        parts.append(model.features(pixels[at : at + _IMAGES]))
    features = np.concatenate(parts)
    progress("reference", len(pixels), 3 * len(pixels))
    greedy, _ = greedy_captions(model, features, source.vocabulary, source.defaults)
    progress("reference", 2 * len(pixels), 3 * len(pixels))
    beam = _beam(model, features, source.vocabulary, proven_beam(source.defaults))
    progress("reference", 3 * len(pixels), 3 * len(pixels))
    return Reference(features, tuple(greedy), tuple(beam))


def greedy_captions(
    model: PrefixModel,
    features: NDArray[np.float32],
    vocabulary: Vocabulary,
    options: DecodingOptions,
) -> tuple[list[Words], list[tuple[float, ...]]]:
    """Caption images by their features, float32 [images, F].

    Returns each caption's word ids, and the log-probability of each word and of the end token if
    the caption ended.
    """
    captions: list[Words] = [()] * len(features)
    scores: list[tuple[float, ...]] = [()] * len(features)
    open_images = list(range(len(features)))
    for _ in range(options.max_words):
        predicted = model.last(features[open_images], [captions[image] for image in open_images])
        still_open = []
        for image, row in zip(open_images, predicted, strict=True):
            _forbid(row, captions[image], vocabulary, options)
            word = int(np.argmax(row))
            if row[word] == -np.inf:
                continue  # no word is allowed: the caption is cut
            scores[image] += (float(row[word]),)
            if word != vocabulary.end_id:
                captions[image] += (word,)
                still_open.append(image)
        open_images = still_open
        if not open_images:
            break
    return captions, scores


def _beam(
    model: PrefixModel,
    features: NDArray[np.float32],
    vocabulary: Vocabulary,
    options: DecodingOptions,
) -> list[Words]:
    """Search all images, a beam each.

    A step takes the `beam` likeliest continuations of an image's live prefixes; those that end
    leave the beam. An image is done when no live prefix can beat its best ended one any more.
    """
    longest = options.max_words**options.length_penalty
    live: list[list[tuple[float, Words]]] = [[(0.0, ())] for _ in features]
    best: list[tuple[float, Words]] = [(-np.inf, ())] * len(features)
    for _ in range(options.max_words):
        rows = [(image, total, words) for image, beam in enumerate(live) for total, words in beam]
        if not rows:
            break
        predicted = model.last(
            features[[image for image, _, _ in rows]], [words for _, _, words in rows]
        )
        for (_, total, words), row in zip(rows, predicted, strict=True):
            _forbid(row, words, vocabulary, options)
            row += total
        at = 0
        for image, beam in enumerate(live):
            totals = predicted[at : at + len(beam)]
            at += len(beam)
            if not beam:
                continue
            live[image] = []
            for total, parent, word in _highest(totals, options.beam):
                words = beam[parent][1]
                if word == vocabulary.end_id:
                    ended = (total / (len(words) + 1) ** options.length_penalty, words)
                    best[image] = max(best[image], ended, key=lambda item: item[0])
                else:
                    live[image].append((total, (*words, word)))
            # A total only falls, and dividing by the largest length gives the best score.
            if live[image] and live[image][0][0] / longest <= best[image][0]:
                live[image] = []
    for image, beam in enumerate(live):
        for total, words in beam:
            cut = (total / len(words) ** options.length_penalty, words)
            best[image] = max(best[image], cut, key=lambda item: item[0])
    return [words for _, words in best]


def _highest(totals: NDArray[np.float64], count: int) -> list[tuple[float, int, int]]:
    """Give the highest finite entries of [rows, V], falling, as (value, row, column)."""
    flat = totals.ravel()
    count = min(count, flat.size)
    places = np.argpartition(-flat, count - 1)[:count]
    places = places[np.lexsort((places, -flat[places]))]
    width = totals.shape[1]
    return [
        (float(flat[place]), int(place) // width, int(place) % width)
        for place in places
        if flat[place] > -np.inf
    ]


def _forbid(
    row: NDArray[np.float64], words: Words, vocabulary: Vocabulary, options: DecodingOptions
) -> None:
    """Set the log probabilities [V] of words that may not follow to minus infinity, in place."""
    never = set(vocabulary.never_said) | {vocabulary.start_id}
    row[[word for word in never if word != vocabulary.end_id]] = -np.inf
    if len(words) < options.min_words:
        row[vocabulary.end_id] = -np.inf
    size = options.no_repeat_ngram
    if size:
        said = {words[at : at + size] for at in range(len(words) - size + 1)}
        begun = words[len(words) - size + 1 :]
        row[[ngram[-1] for ngram in said if ngram[:-1] == begun]] = -np.inf
