"""What an encoder is to the rest of edgecap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecap.encoders.pooling import POOLINGS
from edgecap.registry import Registry
from edgecap_runtime.errors import EdgecapError, OptionError, first_line

_NARROW = 0.5


@dataclass(frozen=True)
class EncoderOptions:
    """How one encoder is built. The values are part of a run and travel with it."""

    size: int = 224
    """Side of the square input image, in pixels."""

    width: float = 1.0
    """Width multiplier (MobileNet's alpha): the share of channels kept in each layer."""

    pooling: str = "average"
    """How the last feature map becomes features: a name in `edgecap.encoders.pooling`."""


@dataclass(frozen=True)
class Encoder:
    """A registered family of encoders."""

    name: str
    """The name users type."""

    build: Callable[[EncoderOptions, str | None], Any]
    """From options and Keras' own `weights` word ("imagenet" or None) to the bare network: a
    `keras.Model` from scaled RGB [N, size, size, 3] to features [N, F]."""

    default_size: int
    """The image side it was trained for, in pixels."""

    least_size: int
    """The smallest image side that leaves something for its last feature map, in pixels."""

    widths: tuple[float, float]
    """Smallest and largest width it is built with; equal if it has none to choose."""

    imagenet_widths: tuple[float, ...]
    """The widths that Keras has ImageNet weights of."""

    delicate_blocks: tuple[str, ...] = ()
    """Blocks (see `edgecap_export.blocks`) whose quantization changes the features more than it
    saves: recipes with calibrated ranges leave them in float32."""

    narrow_delicate_blocks: tuple[str, ...] = ()
    """Blocks that are so as well where the network has less than half of its width."""

    scale: float = 1 / 127.5
    """Pixels 0..255 are multiplied by this ..."""

    offset: float = -1.0
    """... and this is added, before the network sees them."""

    def delicate(self, options: EncoderOptions) -> tuple[str, ...]:
        """Return the blocks that recipes with calibrated ranges leave in float32."""
        narrow = self.narrow_delicate_blocks if options.width < _NARROW else ()
        return (*self.delicate_blocks, *narrow)

    def scaling(self) -> str:
        """Say in words what the graph does to pixels; written into exported files."""
        return f"x * {self.scale:.10g} + {self.offset:.10g} on 0..255, inside the graph"

    def model(self, options: EncoderOptions, weights: str | Path | None) -> Any:
        """Build the encoder from raw pixels.

        Args:
            options: size and width.
            weights: "imagenet" (downloaded by Keras), a path to weights of the bare network
                without its classifier, the folder of a run whose encoder is meant, or None for
                random ones.

        Returns:
            A `keras.Model`: float32 [N, size, size, 3] in 0..255, RGB, to float32 [N, F]. The
            scaling is a layer inside, so that no caller can forget it.

        Raises:
            OptionError: a size or width that the network has not, or weights that don't fit.
            EdgecapError: the weights can't be downloaded.
        """
        import keras

        self.check(options, weights)
        network = self.build(options, None)
        run = weights is not None and Path(weights).is_dir()
        if not run:
            self._load(network, options, weights)
        pixels = keras.Input((options.size, options.size, 3), name="pixels", dtype="float32")
        scaled = keras.layers.Rescaling(self.scale, self.offset, name="scaling")(pixels)
        whole = keras.Model(pixels, network(scaled), name=f"{self.name}_encoder")
        if run:
            self._load(whole, options, Path(str(weights)) / "encoder.weights.h5")
        return whole

    def check(self, options: EncoderOptions, weights: str | Path | None) -> None:
        """Refuse a size or width that the network, or its ImageNet weights, have not.

        Raises:
            OptionError: such a size or width, or an unknown pooling.
        """
        POOLINGS[options.pooling]
        if options.size < self.least_size:
            raise OptionError(
                f"encoder {self.name!r} can't see images of size {options.size}; set encoder.size "
                f"to {self.least_size} or more (it was trained at {self.default_size})"
            )
        width, (low, high) = options.width, self.widths
        if not low <= width <= high:
            legal = f"to a number from {low:g} to {high:g}" if low < high else f"to {low:g}"
            raise OptionError(
                f"encoder {self.name!r} is not built at width {width:g}; set encoder.width {legal}"
                + ("" if low < high else ", the only width it has")
            )
        if weights == "imagenet" and width not in self.imagenet_widths:
            known = ", ".join(f"{item:g}" for item in self.imagenet_widths)
            raise OptionError(
                f"there are no ImageNet weights of {self.name!r} at width {width:g}; set "
                f"encoder.width to one of {known}, or give a file with --encoder-weights PATH"
            )

    def _load(self, network: Any, options: EncoderOptions, weights: str | Path | None) -> None:
        """Fill `network` in place from Keras' download or from a file."""
        if weights is None:
            return
        if weights == "imagenet":
            try:
                network.set_weights(self.build(options, "imagenet").get_weights())
            except Exception as problem:
                raise EdgecapError(
                    f"the ImageNet weights of {self.name!r} could not be had "
                    f"({first_line(problem)}); connect to the internet or give a file with "
                    "--encoder-weights PATH"
                ) from problem
            return
        path = Path(weights)
        if not path.is_file():
            raise OptionError(
                f"no encoder weights at {str(path)!r}; give 'imagenet' or the path of a Keras "
                "weights file (.weights.h5) of the network without its classifier, or a run"
            )
        try:
            network.load_weights(path)
        except Exception as problem:
            raise OptionError(
                f"the weights in {str(path)!r} don't fit {self.name!r} at width "
                f"{options.width}: {first_line(problem)}; give weights saved without the "
                "classifier (include_top=False) at the same width, or a run with this encoder"
            ) from problem


ENCODERS: Registry[Encoder] = Registry("encoder")
