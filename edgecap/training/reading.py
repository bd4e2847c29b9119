"""What the decoder reads in training in place of a caption as people wrote it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edgecap.training.options import TrainingOptions
from edgecap_runtime.errors import OptionError
from edgecap_runtime.vocabulary import Vocabulary


class Reading:
    """Changes some of the words read: unknown ones (word dropout), the decoder's own (scheduled
    sampling). The start word and padding stay."""

    def __init__(
        self, decoder: Any, learns_from: str, vocabulary: Vocabulary, options: TrainingOptions
    ) -> None:
        """Settle what is changed.

        Raises:
            OptionError: an option that this vocabulary or decoder can't have.
        """
        if options.word_dropout and vocabulary.unknown_id is None:
            raise OptionError(
                f"word_dropout is {options.word_dropout}, but the vocabulary has no word for an "
                "unknown one; set training.word_dropout to 0"
            )
        if options.scheduled and learns_from != "captions":
            raise OptionError(
                f"scheduled is {options.scheduled}, but this decoder learns from prefixes, not "
                "from whole captions; set training.scheduled to 0"
            )
        self._options = options
        self._vocabulary = vocabulary
        self._own = _own_words(decoder, vocabulary) if options.scheduled else None

    def of(
        self,
        inputs: dict[str, np.ndarray],
        weights: np.ndarray,
        done: float,
        dice: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Give the inputs with some of their words changed.

        Args:
            inputs: "features" and "ids" int32 [rows, T]; column 0 is the start word.
            weights: [rows, T], 0 at padding.
            done: share of the epochs of words that are over, 0 to 1.
            dice: chooses.
        """
        ids = inputs["ids"]
        if self._own is not None and done > 0:
            said = self._own.predict_on_batch(inputs)
            # The word that the decoder says after place t is what it would read at t + 1.
            own = np.concatenate([ids[:, :1], np.asarray(said, np.int32)[:, :-1]], axis=1)
            ids = np.where(
                self._chosen(ids, weights, self._options.scheduled * done, dice), own, ids
            )
        if self._options.word_dropout:
            chosen = self._chosen(ids, weights, self._options.word_dropout, dice)
            ids = np.where(chosen, np.int32(self._vocabulary.unknown_id or 0), ids)
        return {**inputs, "ids": ids}

    def _chosen(
        self, ids: np.ndarray, weights: np.ndarray, chance: float, dice: np.random.Generator
    ) -> np.ndarray:
        chosen: np.ndarray = dice.random(ids.shape) < chance
        chosen[:, 0] = False
        # A prefix's weights have one column, for it has no padding.
        return chosen & np.broadcast_to(weights > 0, ids.shape)


def _own_words(decoder: Any, vocabulary: Vocabulary) -> Any:
    """Compile the decoder's likeliest words [rows, T], those that a caption never holds left out.

    Its end word is among them and stands where people's captions go on: what follows is then
    learned after it, which no search reads, so it is left out as well.
    """
    features = keras.Input((decoder.feature_width,), name="features")
    ids = keras.Input((None,), dtype="int32", name="ids")
    logits = decoder.prefix_logits(features, ids)
    never = np.zeros(decoder.vocabulary_size, np.float32)
    never[sorted({*vocabulary.never_said, vocabulary.start_id, vocabulary.end_id})] = -1e9
    model = keras.Model(
        {"features": features, "ids": ids}, keras.ops.argmax(logits + never, axis=-1)
    )
    model.compile(jit_compile=False)
    return model
