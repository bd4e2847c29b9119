"""What a user may say about a captioner that is brought in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ImportOptions:
    """What a model's files don't say, or what the user knows better."""

    encoder: str
    """Name of the encoder family that the features come from."""

    encoder_weights: str | Path | None = None
    """"imagenet", a file, or None: those in the graph, else "imagenet"."""

    architecture: str | Path | None = None
    """For weights alone: a JSON file of the graph, or the name of a merge decoder."""

    settings: Sequence[str] = ()
    """`PART.OPTION=VALUE` of the encoder and, with a named architecture, of the decoder."""

    mask: str | None = None
    """"keras2", "keras3" or "none"; None for what the file says."""

    padding: str = "end"
    """The side of a prefix where padding stands: "end" or "start"."""

    padding_id: int | None = None
    """The id that pads prefixes; None for the masked 0 or a padding word's."""

    longest: int | None = None
    """Words to which prefixes are padded; None for what the graph says."""

    start: str | None = None
    """The word that starts captions; None to find it."""

    end: str | None = None
    """The word that ends captions; None to find it."""

    never_say: Sequence[str] = ()
    """Words that are never said."""

    size: int | None = None
    """Side of the encoder's image in pixels; None for the graph's, or the encoder's own."""

    resampling: str = "nearest"
    """Pillow's filter; Keras' load_img takes "nearest" unless told otherwise."""

    fit: str = "stretch"
    """"stretch" or "crop", as in `Preparation`."""

    name: str | None = None
    """The captioner's name; None for encoder-decoder."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """More to be written of where it comes from."""
