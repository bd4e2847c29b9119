"""One way to compile what is trained, whatever the phase."""

from __future__ import annotations

from typing import Any

import keras

from edgecap.training.options import TrainingOptions

_UNDECAYED = ("bias", "gamma", "beta")
"""Weights that are not taken off from: they don't overfit (as in Loshchilov and Hutter's code)."""


def compile_model(model: Any, options: TrainingOptions, rate: float, loss: Any) -> None:
    """Compile a Keras model with a fresh optimizer; its weights stay."""
    common = {
        "global_clipnorm": options.clip_norm,
        "use_ema": options.average > 0,
        "ema_momentum": options.average,
    }
    if options.weight_decay:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=options.weight_decay, **common)
        optimizer.exclude_from_weight_decay(var_names=list(_UNDECAYED))
    else:
        optimizer = keras.optimizers.Adam(rate, **common)
    # Batches differ in length, and XLA would compile each length anew.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
