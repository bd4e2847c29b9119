"""Networks of `keras.applications` as encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecap.encoders.pooling import POOLINGS
from edgecap.encoders.registry import EncoderOptions


def pooled(
    network: str, *, has_width: bool = True, **settings: Any
) -> Callable[[EncoderOptions, str | None], Any]:
    """Make an `Encoder.build`: a network without its classifier, its last map pooled.

    Args:
        network: its name in `keras.applications`.
        has_width: whether it takes a width (Keras' `alpha`).
        settings: what else it is called with.
    """

    def build(options: EncoderOptions, weights: str | None) -> Any:
        import keras

        width = {"alpha": options.width} if has_width else {}
        whole = getattr(keras.applications, network)(
            input_shape=(options.size, options.size, 3),
            include_top=False,
            weights=weights,
            **width,
            **settings,
        )
        pool = POOLINGS[options.pooling]
        return keras.Model(whole.input, pool(whole.output), name=whole.name)

    return build
