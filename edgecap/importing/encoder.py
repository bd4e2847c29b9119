"""The encoder's side of an import: from the graph itself, another model, or weights alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgecap.encoders import ENCODERS, EncoderOptions
from edgecap.importing.containers import CONTAINERS
from edgecap.importing.model import Model
from edgecap.importing.options import ImportOptions
from edgecap.importing.pixels import Fitted, fit_encoder, pixel_size, pooled
from edgecap.settings import apply_settings
from edgecap_runtime.errors import OptionError


@dataclasses.dataclass(frozen=True)
class ReadEncoder:
    """An encoder of ours with the imported weights."""

    model: Any
    """Keras model: float32 pixels 0..255 [N, size, size, 3] to features [N, F]."""

    options: EncoderOptions
    """How it is built."""

    fitted: Fitted | None
    """Which layers of the captioner's own graph gave the weights; None if others did."""

    weights: str
    """Where the weights come from, in a word."""

    scaling: str
    """Where the scaling of pixels comes from, in a few words."""


def read_encoder(model: Model, options: ImportOptions) -> ReadEncoder:
    """Build the encoder of an imported captioner.

    Args:
        model: the decoder's side; its graph may begin with an encoder.
        options: what the user says.

    Raises:
        OptionError: sizes, widths or graphs disagree, or weights don't fit.
        EdgecapError: the ImageNet weights can't be downloaded.
    """
    family = ENCODERS[options.encoder]
    chosen = apply_settings("encoder", EncoderOptions(size=family.default_size), options.settings)
    convention = f"{options.encoder}'s convention"
    if options.size is not None:
        chosen = dataclasses.replace(chosen, size=options.size)
    size = None if model.image is None else pixel_size(model.image)
    if size and options.size not in (None, size):
        raise OptionError(
            f"the graph takes images of size {size} and --size is {options.size}; leave it out"
        )
    chosen = dataclasses.replace(chosen, size=size or chosen.size)
    built = family.model(chosen, None)
    _check_width(model, options.encoder, int(built.output_shape[-1]))
    if model.image is not None:
        if options.encoder_weights is not None:
            raise OptionError(
                f"the model begins with an encoder of its own; leave --encoder-weights "
                f"{str(options.encoder_weights)!r} out"
            )
        fitted = fit_encoder(model.image, model.origin, built, options.encoder)
        scaling = "as in the graph" if fitted.scaled else convention
        return ReadEncoder(built, chosen, fitted, "the graph", scaling)
    weights = "imagenet" if options.encoder_weights is None else options.encoder_weights
    container = _with_graph(weights)
    if container is None:
        built = family.model(chosen, weights)
        return ReadEncoder(built, chosen, None, Path(weights).name, convention)
    graph = container.read(Path(weights), None)
    fitted = fit_encoder(pooled(graph), graph.origin, built, options.encoder)
    scaling = f"as in {Path(weights).name}" if fitted.scaled else convention
    return ReadEncoder(built, chosen, None, Path(weights).name, scaling)


def _check_width(model: Model, encoder: str, features: int) -> None:
    if model.features not in (None, features):
        raise OptionError(
            f"the model reads {model.features} image features and {encoder} gives {features}; "
            "choose the --encoder (and --set encoder.width) that it was trained with"
        )


def _with_graph(weights: str | Path) -> Any:
    """Find the container of an encoder that was saved as a whole model; None for weights alone."""
    known = (CONTAINERS[name] for name in CONTAINERS)
    return next((it for it in known if it.brings_graph and it.recognises(Path(weights))), None)
