"""What a decoder is to the rest of edgecap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgecap.registry import Registry


def _as_they_are(options: Any, encoder: Any) -> Any:
    del encoder
    return options


@dataclass(frozen=True)
class Decoder:
    """A registered family of decoders."""

    name: str
    """The name users type."""

    options: type[Any]
    """Frozen dataclass of its settings; every field has a default."""

    build: Callable[[Any, int, int], Any]
    """From options, vocabulary size V and feature width F to a built `keras.Model` that is also an
    `edgecap_export.StepDecoder` or `PrefixDecoder`, and can `scale_logits(factor)`. Its call is
    the training graph: {"features": [rows, F], "ids": int32 [rows, T]} to logits; see
    `learns_from`."""

    learns_from: str = "captions"
    """"captions": logits [rows, T, V], where logits[:, t] follow the words up to t, so a caption
    teaches every word at once. "prefixes": logits [rows, 1, V] after all T words of rows that
    have no padding."""

    pooling: str = "average"
    """How an encoder pools for it unless the user says otherwise, a name in
    `edgecap.encoders.pooling`."""

    fitted: Callable[[Any, Any], Any] = _as_they_are
    """From options and the encoder, a `keras.Model`, to options in which what follows from the
    encoder is settled. Raises `OptionError` if it is no encoder for this decoder."""


DECODERS: Registry[Decoder] = Registry("decoder")
