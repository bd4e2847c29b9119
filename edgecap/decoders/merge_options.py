"""Settings of the merge decoders."""

from __future__ import annotations

from dataclasses import dataclass

from edgecap.decoders.checks import check_dropout, check_least
from edgecap_runtime.errors import OptionError

_ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "elu", "selu", "gelu")
_CHOICES = {
    "merge": ("add", "concatenate"),
    "mask": ("keras2", "keras3", "none"),
    "padded": ("end", "start"),
    "word_activation": _ACTIVATIONS,
    "image_activation": _ACTIVATIONS,
    "hidden_activation": _ACTIVATIONS,
    "recurrent_activation": ("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid"),
}


@dataclass(frozen=True)
class MergeOptions:
    """Sizes and kinds of a merge decoder's layers; the defaults are the notebooks'."""

    embedding: int = 300
    """Width of the word vectors."""

    word_units: tuple[int, ...] = (256,)
    """Widths of the LSTMs that read the words alone, in each direction."""

    word_projection: int = 300
    """Width of the Dense layer after them, at each place; 0 for none."""

    image_projection: int = 300
    """Width of the Dense layer over the image features; 0 for none."""

    merge: str = "add"
    """How image and words join: "add" or "concatenate" (words first)."""

    merged_units: tuple[int, ...] = (256, 256)
    """Widths of the LSTMs over words and image; with none the image joins after the last word."""

    hidden: int = 256
    """Width of the Dense layer before the vocabulary; 0 for none."""

    tied: bool = False
    """Whether the output layer reads the word vectors instead of a matrix of its own."""

    dropout: float = 0.5
    """Share dropped, in training, of image features, word vectors and the last LSTM's output."""

    feature_norm: bool = True
    """Whether image features are standardised first (batch normalisation)."""

    word_activation: str = "linear"
    """Activation of `word_projection`."""

    image_activation: str = "relu"
    """Activation of `image_projection`."""

    hidden_activation: str = "relu"
    """Activation of `hidden`."""

    recurrent_activation: str = "sigmoid"
    """The LSTMs' gates: "sigmoid", Keras 3's "hard_sigmoid" or "keras2_hard_sigmoid"."""

    mask: str = "keras2"
    """Which LSTMs skip padding: "keras2" all, "keras3" those before the image, "none" none. Part
    of an imported model; what is trained here is "keras2"."""

    padding_id: int = 0
    """The id that is skipped."""

    length: int = 40
    """Words to which a prefix is padded, start word included, where an LSTM reads padding."""

    padded: str = "end"
    """The side of the prefix where padding stands: "end" or "start"."""

    def __post_init__(self) -> None:
        for name, legal in _CHOICES.items():
            if getattr(self, name) not in legal:
                raise OptionError(
                    f"decoder.{name} is {getattr(self, name)!r}; choose one of: {', '.join(legal)}"
                )
        check_least(self, 0, "word_projection", "image_projection", "hidden", "padding_id")
        check_least(self, 1, "embedding", "length")
        for name in ("word_units", "merged_units"):
            if any(width < 1 for width in getattr(self, name)):
                raise OptionError(
                    f"decoder.{name} is {','.join(map(str, getattr(self, name)))}; give a width "
                    "of at least 1 for each LSTM"
                )
        if not self.word_units:
            raise OptionError("decoder.word_units is empty; give the width of at least one LSTM")
        check_dropout(self.dropout)

    @property
    def reads_no_padding(self) -> bool:
        """Whether every LSTM skips padding, so that bare prefixes say the same."""
        return self.mask == "keras2" or (self.mask == "keras3" and not self.merged_units)

    def check_widths(self, bidirectional: bool, features: int) -> None:
        """Refuse what can't be added or tied.

        Args:
            bidirectional: whether each LSTM is two.
            features: width of the image features.

        Raises:
            OptionError: two widths differ that must be the same.
        """
        sides = 2 if bidirectional else 1
        words = self.word_projection or sides * self.word_units[-1]
        image = self.image_projection or features
        if self.merge == "add" and words != image:
            raise OptionError(
                f"words come to the merge {words} wide and the image {image} wide, which can't be "
                "added; make decoder.word_projection and decoder.image_projection equal, or set "
                "decoder.merge=concatenate"
            )
        joined = words + image if self.merge == "concatenate" else words
        last = self.hidden or (sides * self.merged_units[-1] if self.merged_units else joined)
        if self.tied and last != self.embedding:
            raise OptionError(
                f"a tied output reads {self.embedding} values (decoder.embedding) but gets {last}; "
                f"set decoder.hidden={self.embedding}"
            )
