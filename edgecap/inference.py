"""Captions from a decoder in Keras form, many images at a time, by the runtime's own search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgecap_runtime.decoding import DecodingOptions, State, decode_together
from edgecap_runtime.vocabulary import Vocabulary

_TOGETHER = 250
"""Images searched in step with each other: enough to fill a step, few enough for a bar to move."""


class KerasCaptions:
    """Decodes features with a Keras decoder's step, compiled once."""

    def __init__(self, decoder: Any, vocabulary: Vocabulary) -> None:
        """Compile the first state and the step.

        Args:
            decoder: a `keras.Model` that is an `edgecap_export.StepDecoder`; its weights may go on
                changing.
            vocabulary: its words.
        """
        import keras

        self._decoder = decoder
        self._vocabulary = vocabulary
        self._names = tuple(decoder.state_spec)
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
        table = self._decoder.embedding_table

        def step(ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
            answer = self._step.predict_on_batch({"ids": ids, "vectors": table[ids], **state})
            return np.asarray(answer["logits"]), {name: answer[name] for name in self._names}

        said: list[list[str]] = []
        for first in range(0, len(features), _TOGETHER):
            state = self._first.predict_on_batch(features[first : first + _TOGETHER])
            found = decode_together(step, state, self._vocabulary, options)
            said += [list(self._vocabulary.words_of(image[0].ids)) for image in found]
            if progress:
                progress(len(said), len(features))
        return said
