"""Step decoders that learn from a whole caption in one pass."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edgecap.decoders.layers import scale_dense, table_of


class WholeCaptionDecoder(keras.Model):  # type: ignore[misc]
    """What follows from a call over whole captions, and from one layer at each end.

    A decoder of this kind has layers `word_embedding` and `output_projection` of its own, and its
    call takes {"features": float32 [rows, F], "ids": int32 [rows, T]} to logits [rows, T, V].
    """

    kind = "step"
    """One word and a state in, logits and a state out."""

    @property
    def embedding_table(self) -> np.ndarray:
        """The word vectors, float32 [V, E]."""
        return table_of(self.word_embedding)

    def prefix_logits(self, features: Any, ids: Any) -> Any:
        """Give the training graph's logits [rows, T, V], nothing dropped: parity's reference."""
        return self({"features": features, "ids": ids}, training=False)

    def next_logits(self, features: Any, ids: Any) -> Any:
        """Give the training graph's logits [rows, V] after the whole of ids, nothing dropped."""
        return self.prefix_logits(features, ids)[:, -1]

    def scale_logits(self, factor: float) -> None:
        """Multiply all logits by a factor from now on, in the weights."""
        scale_dense(self.output_projection, factor)
