"""The decoder's side of an import: read, understood, and ready to fill a decoder of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgecap.decoders import DECODERS
from edgecap.decoders.merge_options import MergeOptions
from edgecap.importing.by_order import default_gate, fill_by_order
from edgecap.importing.containers import find_container
from edgecap.importing.containers.hdf5 import WeightsFile, read_weights, writing_keras
from edgecap.importing.decoder import Filling, fill, settle
from edgecap.importing.graph import Graph, Layer, Origin
from edgecap.importing.options import ImportOptions
from edgecap.importing.pixels import Fitted
from edgecap.importing.recognise import recognise
from edgecap.importing.table import Taken, describe
from edgecap.settings import apply_settings
from edgecap_runtime.errors import OptionError

_BY_OPTION = {"mask": "--mask", "padded": "--padding", "padding_id": "--padding-id"}
_BY_OPTION["length"] = "--longest"


class Model(Protocol):
    """A decoder that was read from files."""

    origin: Origin
    """Where it comes from."""

    family: str
    """The decoder of ours that computes the same."""

    options: MergeOptions
    """Its settings; `length` counts only if `length` below is known."""

    words: int | None
    """V, the vocabulary's size, where the files say."""

    features: int | None
    """F, the width of the image's features, where the files say."""

    length: int | None
    """Words to which prefixes are padded, where the files say."""

    image: Layer | None
    """Where an encoder in the graph ends; None if there is none."""

    def fill(self, decoder: Any, options: MergeOptions, fitted: Fitted | None) -> tuple[Taken, ...]:
        """Put the weights into a decoder of that family; gives the table of layers."""
        ...


def read_model(path: Path, options: ImportOptions) -> Model:
    """Read and understand a model.

    Raises:
        OptionError: it can't be read or is not understood.
    """
    architecture = options.architecture
    if architecture is not None and str(architecture) in list(DECODERS):
        return _ByOrder.read(path, str(architecture), options)
    container = find_container(path)
    graph = container.read(path, None if architecture is None else Path(architecture))
    return _Recognised.read(graph)


@dataclass
class _Recognised:
    """A graph that was recognised."""

    graph: Graph
    filling: Filling

    @classmethod
    def read(cls, graph: Graph) -> _Recognised:
        return cls(graph, settle(recognise(graph)))

    def __post_init__(self) -> None:
        parts = self.filling.parts
        self.origin = self.graph.origin
        self.family = self.filling.family
        self.options = self.filling.options
        self.words: int | None = self.filling.words
        self.features: int | None = self.filling.features
        self.length = parts.length
        self.image = parts.image if parts.has_encoder else None

    def fill(self, decoder: Any, options: MergeOptions, fitted: Fitted | None) -> tuple[Taken, ...]:
        fill(decoder, self.filling)
        return describe(self.graph, self.filling.parts, options, fitted)


@dataclass
class _ByOrder:
    """Weights alone, for a decoder that the user describes."""

    path: Path
    file: WeightsFile
    family: str
    options: MergeOptions

    @classmethod
    def read(cls, path: Path, family: str, options: ImportOptions) -> _ByOrder:
        if DECODERS[family].options is not MergeOptions:
            known = [name for name in DECODERS if DECODERS[name].options is MergeOptions]
            raise OptionError(
                f"--architecture {family!r} can't be imported; choose one of: {', '.join(known)}, "
                "or a JSON file of the graph"
            )
        container = find_container(path)
        if container.name != "weights":
            raise OptionError(
                f"{str(path)!r} is one of the {container.holds}, and --architecture {family} is "
                "for weights in HDF5 alone; leave it out, or give a JSON file of the graph"
            )
        if options.mask is None:
            raise OptionError(
                f"{str(path)!r} holds weights alone, which don't say how padding was masked; give "
                "--mask keras2 or keras3 (mask_zero=True, by the Keras that trained it) or none"
            )
        file = read_weights(path)
        names = [text.partition("=")[0].removeprefix("decoder.") for text in options.settings]
        for name in names:
            if name in _BY_OPTION:
                raise OptionError(
                    f"--set decoder.{name} is given by {_BY_OPTION[name]} when importing"
                )
        gate = "sigmoid" if "recurrent_activation" in names else default_gate(file, path)
        plain = MergeOptions(feature_norm=False, recurrent_activation=gate, mask=options.mask)
        return cls(path, file, family, apply_settings("decoder", plain, options.settings))

    def __post_init__(self) -> None:
        version = self.file.keras_version
        keras = writing_keras({}, version)
        self.origin = Origin("weights", version, keras, self.file.backend)
        self.words: int | None = None
        self.features: int | None = None
        self.length: int | None = None
        self.image: Layer | None = None

    def fill(self, decoder: Any, options: MergeOptions, fitted: Fitted | None) -> tuple[Taken, ...]:
        return fill_by_order(decoder, self.file, self.path)
