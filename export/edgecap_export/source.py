"""What an export starts from: the parts of a trained captioner, whoever trained it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import OptionError
from edgecap_runtime.kinds import KINDS
from edgecap_runtime.preparation import Preparation
from edgecap_runtime.vocabulary import Vocabulary

if TYPE_CHECKING:
    from edgecap_export.recurrence import Recurrence
    from edgecap_runtime.manifest import Prefix

__all__ = ["CaptionerSource", "Decoder", "PrefixDecoder", "StepDecoder"]


class _Decoder(Protocol):
    """What decoders of all kinds have.

    The methods compute with `keras.ops` on tensors, so that they can be traced into a graph.
    """

    @property
    def name(self) -> str:
        """Name of the decoder family, e.g. "lstm"."""
        ...

    @property
    def kind(self) -> str:
        """Kind of its graph, one of `edgecap_runtime.kinds.KINDS`: "step" or "prefix"."""
        ...

    @property
    def state_spec(self) -> Mapping[str, int]:
        """Names and widths of the state; `h0` becomes the tensor `state_h0` [rows, width].

        A name consists of letters, digits and underscores.
        """
        ...

    @property
    def embedding_table(self) -> NDArray[np.float32]:
        """The word vectors, float32 [V, E]. The exporter looks words up in it."""
        ...

    def first_state(self, features: Any) -> Mapping[str, Any]:
        """Turn image features float32 [rows, F] into the first state, name to [rows, width]."""
        ...

    def prefix_logits(self, features: Any, ids: Any) -> Any:
        """Predict after each word of bare prefixes, as inference: the reference of parity.

        features: float32 [rows, F]; ids: int32 [rows, T], the start id first and no padding.
        Returns logits float32 [rows, T, V]; place t is what the trained graph says after the
        prefix that ends with word t, padded as that graph has its prefixes.
        """
        ...

    def next_logits(self, features: Any, ids: Any) -> Any:
        """Predict after whole bare prefixes only, [rows, V]: the last place of `prefix_logits`."""
        ...


class StepDecoder(_Decoder, Protocol):
    """A decoder of kind "step": it says one word at a time from a carried state."""

    def step(
        self, ids: Any, vectors: Any, state: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]]:
        """Say one word.

        ids: int32 [rows]; vectors: float32 [rows, E], the rows of `embedding_table` that ids name;
        state: name to float32 [rows, width]. Returns logits float32 [rows, V] and the next state.
        Built from Keras cells: an `LSTM` layer would put a loop into the file.
        """
        ...


class PrefixDecoder(_Decoder, Protocol):
    """A decoder of kind "prefix": it reads all words so far for each next one."""

    @property
    def prefix(self) -> Prefix:
        """How words become the ids that `next_word` takes."""
        ...

    def next_word(
        self, ids: Any, vectors: Any, state: Mapping[str, Any], recurrence: Recurrence
    ) -> Any:
        """Say the word that follows prefixes.

        ids: int32 [rows, T], T being `prefix.length` where that is a number; vectors: float32
        [rows, T, E], the rows of `embedding_table` that ids name; state: what `first_state` gave,
        name to float32 [rows, width]; recurrence: runs LSTMs over a sequence, in the way of the
        file's format. Returns logits float32 [rows, V].
        """
        ...


Decoder: TypeAlias = StepDecoder | PrefixDecoder
"""A decoder of any kind."""


@dataclass(frozen=True)
class CaptionerSource:
    """A trained captioner in memory.

    Raises `OptionError` where its parts disagree, `BundleError` where its prefix and vocabulary do.
    """

    name: str
    """What the captioner is called in files and tables."""
    encoder: Any
    """Keras model: float32 pixels 0..255 [N, H, W, 3] to features float32 [N, F]."""
    encoder_name: str
    """Name of the encoder family, e.g. "mobilenet"."""
    decoder: Decoder
    """The decoder."""
    vocabulary: Vocabulary
    """Words and their ids; V words."""
    preparation: Preparation
    """How a photograph becomes the encoder's pixels."""
    defaults: DecodingOptions = field(default_factory=DecodingOptions)
    """How captions are searched for unless the user says otherwise; parity uses them too."""
    delicate_blocks: tuple[str, ...] = ()
    """Blocks of the encoder that int8 is known to hurt (see `blocks`); names that this encoder
    doesn't have are let be."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What it was made from: data, licence, sha256 of the weights. Values that JSON can hold."""
    check_pictures: tuple[Any, ...] = ()
    """Photographs (paths, bytes, Pillow images or uint8 arrays) of which the first four go into
    each file as the small pictures that it checks itself by; four generated ones where it is empty.
    Whoever gets a file can see them."""
    decoder_name: str = ""
    """Name of the decoder family, e.g. "merge-lstm"; the decoder's own `name` where it is empty."""

    @property
    def prefix(self) -> Prefix | None:
        """How words become a prefix decoder's ids; None for a decoder that steps."""
        if KINDS[self.decoder.kind].carries:
            return None
        return cast(PrefixDecoder, self.decoder).prefix

    def __post_init__(self) -> None:
        if not self.decoder_name:
            object.__setattr__(self, "decoder_name", self.decoder.name)
        words, rows = len(self.vocabulary), int(self.decoder.embedding_table.shape[0])
        if words != rows:
            raise OptionError(
                f"The vocabulary has {words} words but the decoder's embedding has {rows} rows; "
                "give the vocabulary that the decoder was trained with."
            )
        wanted = (self.preparation.height, self.preparation.width, 3)
        taken = tuple(self.encoder.input_shape[1:])
        if any(size is not None and size != want for size, want in zip(taken, wanted, strict=True)):
            raise OptionError(
                f"The preparation makes images of {list(wanted)} but the encoder takes "
                f"{list(taken)} (height, width, channels); make the two agree."
            )
        if self.decoder.kind not in KINDS:
            raise OptionError(
                f"The decoder is of kind {self.decoder.kind!r}; choose among {', '.join(KINDS)}."
            )
        kind = KINDS[self.decoder.kind]
        kind.check(self.prefix, self.vocabulary)
        kind.check_words(self.prefix, self.defaults.max_words)
        for name in self.decoder.state_spec:
            if not name.isidentifier() or not name.isascii():
                raise OptionError(
                    f"The decoder's state is called {name!r}; use letters, digits and underscores."
                )
