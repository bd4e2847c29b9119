"""Which encoders and decoders there are to combine, and where an encoder's weights lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecap.decoders import DECODERS
from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap_runtime.errors import OptionError

__all__ = ["System", "choose_systems", "find_weights"]

_ANY = "*"


@dataclass(frozen=True)
class System:
    """An encoder at one image size with a decoder."""

    encoder: str
    """Name of the encoder family."""
    size: int
    """Side of the encoder's image, in pixels."""
    decoder: str
    """Name of the decoder family."""

    def __str__(self) -> str:
        return f"{self.encoder} at {self.size} with {self.decoder}"


def choose_systems(only: Sequence[str] = ()) -> list[System]:
    """Give all combinations, or those that `only` names.

    Each encoder comes at the size it was trained for, and at the size that most share if that is
    another.

    Args:
        only: texts "ENCODER:DECODER", "*" for any.

    Raises:
        OptionError: a text is of another form, or names an encoder or a decoder that isn't there.
    """
    wanted = [_pair(text) for text in only] or [(_ANY, _ANY)]
    return [
        system
        for system in _all_systems()
        if any(
            encoder in (_ANY, system.encoder) and decoder in (_ANY, system.decoder)
            for encoder, decoder in wanted
        )
    ]


def find_weights(encoder: str, folder: Path | None) -> Path | None:
    """Find an encoder's weights at width 1 in a folder, or None where there are none.

    Their names are ENCODER_WIDTH_SIZE_notop.weights.h5, without width and size where the encoder
    has but one width.

    Raises:
        OptionError: the folder isn't there.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise OptionError(
            f"there is no folder {str(folder)!r}; give one with encoder weights, or leave "
            "--encoder-weights-dir out for random ones"
        )
    family = ENCODERS[encoder]
    full = f"{encoder}_{EncoderOptions().width:.1f}_{family.default_size}"
    for name in (full, encoder):
        path = folder / f"{name}_notop.weights.h5"
        if path.is_file():
            return path.resolve()
    return None


def _all_systems() -> Iterator[System]:
    for encoder in ENCODERS:
        for size in dict.fromkeys((ENCODERS[encoder].default_size, EncoderOptions().size)):
            for decoder in DECODERS:
                yield System(encoder, size, decoder)


def _pair(text: str) -> tuple[str, str]:
    encoder, colon, decoder = text.partition(":")
    if not colon or not encoder or not decoder:
        raise OptionError(
            f"--only {text!r} is no combination; write ENCODER:DECODER, as in mobilenet:lstm or "
            "mobilenet:*"
        )
    if encoder != _ANY:
        ENCODERS[encoder]
    if decoder != _ANY:
        DECODERS[decoder]
    return encoder, decoder
