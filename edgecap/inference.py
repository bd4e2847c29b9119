"""Captions from a decoder in Keras form, many images at a time, by the runtime's own search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from edgecap.evaluation import score_captions
from edgecap_runtime.decoding import DecodingOptions, State, decode_together
from edgecap_runtime.options import search_name
from edgecap_runtime.prefix import WORDS, step_by_prefix
from edgecap_runtime.vocabulary import Vocabulary

_TOGETHER = 250
"""Images searched in step with each other: enough to fill a step, few enough for a bar to move."""


class KerasCaptions:
    """Decodes features with a Keras decoder, compiled once."""

    def __init__(self, decoder: Any, vocabulary: Vocabulary) -> None:
        """Compile what the decoder's kind needs.

        Args:
            decoder: a `keras.Model` that is an `edgecap_export.StepDecoder` or `PrefixDecoder`;
                its weights may go on changing.
            vocabulary: its words.
        """
        self._vocabulary = vocabulary
        self._steps: _Steps = _STEPS[decoder.kind](decoder)

    def best(
        self,
        features: np.ndarray,
        options: DecodingOptions,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[str]]:
        """Caption images.

        Args:
            features: float32 [images, F].
            options: how to search.
            progress: called with (images done, images in all).

        Returns:
            The words of each image's best caption.
        """
        said: list[list[str]] = []
        for first in range(0, len(features), _TOGETHER):
            state = self._steps.first(features[first : first + _TOGETHER])
            found = decode_together(self._steps.step, state, self._vocabulary, options)
            said += [list(self._vocabulary.words_of(image[0].ids)) for image in found]
            if progress:
                progress(len(said), len(features))
        return said

    def sampled(
        self, features: np.ndarray, max_words: int, dice: np.random.Generator
    ) -> list[list[str]]:
        """Draw a caption for each row from the model's own distribution.

        Args:
            features: float32 [rows, F].
            max_words: where a caption is cut.
            dice: draws.

        Returns:
            The words of each row's caption.
        """
        vocabulary = self._vocabulary
        forbidden = sorted({*vocabulary.never_said, vocabulary.start_id} - {vocabulary.end_id})
        said: list[list[int]] = [[] for _ in features]
        ended = np.zeros(len(features), bool)
        state = self._steps.first(features)
        ids = np.full(len(features), vocabulary.start_id, np.int32)
        for _ in range(max_words):
            logits, state = self._steps.step(ids, state)
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            weights[:, forbidden] = 0
            # The first of exponential clocks that run at these rates is a draw in proportion.
            clocks = dice.standard_exponential(weights.shape, np.float32) + 1e-30
            ids = (weights / clocks).argmax(axis=1).astype(np.int32)
            ended |= ids == vocabulary.end_id
            if ended.all():
                break
            for row in np.flatnonzero(~ended):
                said[row].append(int(ids[row]))
        return [list(vocabulary.words_of(ids)) for ids in said]


def score_searches(
    captions: KerasCaptions,
    features: np.ndarray,
    references: Sequence[Sequence[Sequence[str]]],
    own: DecodingOptions,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score the captions of greedy search, and of a captioner's own if that is another.

    Args:
        captions: decodes features.
        features: float32 [images, F].
        references: for each image, its captions as words.
        own: the captioner's search.
        progress: called with (images done, images in all), for one search after the other.

    Returns:
        By search, e.g. "greedy" and "beam 3", what `score_captions` gives.
    """
    scores: dict[str, Any] = {}
    for options in (dataclasses.replace(own, beam=1), own):
        said = captions.best(features, options, progress)
        scores[search_name(options.beam)] = score_captions(said, references)
    return scores


class _Steps(Protocol):
    """A decoder as the runtime's search wants it."""

    def first(self, features: np.ndarray) -> State:
        """Give the state that features [rows, F] start with."""

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Feed ids int32 [rows]; gives logits [rows, V] and the next state."""


class _CarriedSteps:
    """Steps of a decoder that carries its state."""

    def __init__(self, decoder: Any) -> None:
        import keras

        self._decoder = decoder
        features = keras.Input((decoder.feature_width,), name="features")
        self._first = keras.Model(features, decoder.first_state(features))
        ids = keras.Input((), dtype="int32", name="ids")
        vectors = keras.Input((decoder.embedding_table.shape[1],), name="vectors")
        state = {
            name: keras.Input((width,), name=name) for name, width in decoder.state_spec.items()
        }
        logits, following = decoder.step(ids, vectors, state)
        self._step = keras.Model(
            {"ids": ids, "vectors": vectors, **state}, {"logits": logits, **following}
        )
        for model in (self._first, self._step):
            # The number of rows changes, and XLA would compile each number anew.
            model.compile(jit_compile=False)

    def first(self, features: np.ndarray) -> State:
        """Give the first state; the word vectors are those of now."""
        self._table = self._decoder.embedding_table
        state: State = self._first.predict_on_batch(features)
        return state

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Run one step."""
        inputs = {"ids": ids, "vectors": self._table[ids], **state}
        answer = self._step.predict_on_batch(inputs)
        return np.asarray(answer["logits"]), {name: answer[name] for name in state}


class _PrefixSteps:
    """Steps of a decoder that reads the whole prefix for each word: features and words are kept."""

    def __init__(self, decoder: Any) -> None:
        import keras

        self._prefix = decoder.prefix
        features = keras.Input((decoder.feature_width,), name="features")
        ids = keras.Input((self._prefix.length,), dtype="int32", name="ids")
        self._model = keras.Model([features, ids], decoder.next_logits(features, ids))
        self._model.compile(jit_compile=False)

    def first(self, features: np.ndarray) -> State:
        """Give the features and no words."""
        return {"features": features, WORDS: np.empty((len(features), 0), np.int32)}

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Run the prefix with one word more."""
        return step_by_prefix(self._run, self._prefix, ids, state)

    def _run(self, prefixes: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        logits = self._model.predict_on_batch([state["features"], prefixes])
        return np.asarray(logits), state


_STEPS: dict[str, Callable[[Any], _Steps]] = {"step": _CarriedSteps, "prefix": _PrefixSteps}
