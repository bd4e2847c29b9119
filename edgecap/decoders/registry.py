"""What a decoder is to the rest of edgecap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgecap.registry import Registry


@dataclass(frozen=True)
class Decoder:
    """A registered family of decoders."""

    name: str
    """The name users type."""

    options: type[Any]
    """Frozen dataclass of its settings; every field has a default."""

    build: Callable[[Any, int, int], Any]
    """From options, vocabulary size V and feature width F to a built `keras.Model` that is also an
    `edgecap_export.StepDecoder`. Its call is the training graph: {"features": [rows, F],
    "ids": int32 [rows, T]} to logits [rows, T, V], where logits[:, t] follow the words up to t."""


DECODERS: Registry[Decoder] = Registry("decoder")
