"""From a photograph to the uint8 pixels that an encoder takes.

The rules, the same for every captioner: the first frame of the file; EXIF orientation honoured;
transparency composited over white before anything is resized; 16-bit grey divided by 257 and
rounded; colour profiles ignored; then `Preparation.fit` with `Preparation.resampling`.
"""

from __future__ import annotations

import io
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import ImageError, OptionError
from .limits import IMAGE_PIXELS, IMAGE_SIDE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

__all__ = ["FITS", "MAX_PIXELS", "RESAMPLING", "Photo", "Preparation", "open_photo", "prepare"]

Photo: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]"
)
"""A photograph as a path, an encoded file's bytes, a Pillow image or a uint8 array."""

FITS = ("stretch", "crop")
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
MAX_PIXELS = 178_956_970
"""Largest picture that is decoded: the size at which Pillow itself speaks of a bomb."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DRAFT_FORMATS = ("JPEG", "MPO")
_DRAFT_MARGIN = 2
_UNDRAFTED = ("nearest", "box")


@dataclass(frozen=True)
class Preparation:
    """How a photograph becomes an encoder's input; raises `OptionError` on illegal values."""

    height: int
    """Height of the encoder's input in pixels."""
    width: int
    """Width of the encoder's input in pixels."""
    fit: str = "stretch"
    """`stretch` to the size, or `crop`: scale until the size is covered, then cut the centre."""
    resampling: str = "bilinear"
    """Pillow's resampling filter, a name in `RESAMPLING`."""
    channels: str = "RGB"
    """Order of the channels; `RGB` is the only one."""
    scaling: str = "inside the graph"
    """What the graph itself does to the uint8 pixels, for the reader; nothing acts on it."""

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 1 <= value <= IMAGE_SIDE:
                raise OptionError(
                    f"The preparation's {name} is {value!r}; give a whole number of pixels from 1 "
                    f"to {IMAGE_SIDE}."
                )
        if self.height * self.width > IMAGE_PIXELS:
            raise OptionError(
                f"The preparation's size is {self.height} x {self.width}; give at most "
                f"{IMAGE_PIXELS} pixels."
            )
        for name, legal in (("fit", FITS), ("resampling", RESAMPLING), ("channels", ("RGB",))):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in legal:
                raise OptionError(
                    f"The preparation's {name} is {value!r}; choose one of {', '.join(legal)}."
                )

    def covering(self, width: int, height: int) -> tuple[int, int]:
        """Give the (width, height) to which a picture of this size is resized before cropping."""
        if self.fit == "stretch":
            return self.width, self.height
        scale = max(self.width / width, self.height / height)
        return max(self.width, round(width * scale)), max(self.height, round(height * scale))


def prepare(source: Photo, preparation: Preparation) -> NDArray[np.uint8]:
    """Decode a photograph and bring it to uint8 [height, width, 3], RGB.

    A JPEG much larger than the size needed is decoded at a reduced scale of not less than twice
    that size (never where the filter is `nearest` or `box`). Raises `ImageError`.
    """
    image = open_photo(source, preparation)
    size = preparation.covering(*image.size)
    resized = image.resize(size, RESAMPLING[preparation.resampling])
    if size != (preparation.width, preparation.height):
        left, top = (size[0] - preparation.width) // 2, (size[1] - preparation.height) // 2
        resized = resized.crop((left, top, left + preparation.width, top + preparation.height))
    return np.array(resized)


def open_photo(source: Photo, preparation: Preparation | None = None) -> Image.Image:
    """Decode a photograph to an upright Pillow image in mode RGB.

    source: path, bytes of an image file, Pillow image, or uint8 array [h, w], [h, w, 3] or
    [h, w, 4] (the last channel is opacity). Without a preparation the picture has its full size;
    with one, a large JPEG may come smaller, as `prepare` says. A Pillow image is never changed.

    Raises `ImageError` for what is missing, empty, broken, too large or no image.
    """
    if isinstance(source, Image.Image):
        name = "The Pillow image"
        _refuse_bomb(name, source.size)
        return _decoded(name, source, None)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    name, opened = _as_stream(source)
    with opened as stream:
        return _from_stream(name, stream, preparation)


def _as_stream(source: Any) -> tuple[str, AbstractContextManager[IO[bytes]]]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "The photograph", nullcontext(io.BytesIO(source))
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"A photograph can't be of type {type(source).__name__}; give a path, the bytes of an "
            "image file, a Pillow image or a uint8 array."
        )
    try:
        return os.fspath(source), open(source, "rb")
    except FileNotFoundError:
        raise ImageError(f"Unable to find {os.fspath(source)}; check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{os.fspath(source)} is a folder; give a photograph in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"Unable to read {os.fspath(source)} ({reason}); check the path and its permissions."
        ) from None


def _from_stream(name: str, stream: IO[bytes], preparation: Preparation | None) -> Image.Image:
    try:
        if not stream.read(1):
            raise ImageError(f"{name} is empty (0 bytes); give a complete image file.")
        stream.seek(0)
        image = Image.open(stream)
    except UnidentifiedImageError:
        raise ImageError(
            f"{name} is no image that Pillow can read; give a JPEG, PNG, WebP, GIF, BMP or TIFF."
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} has more than {MAX_PIXELS} pixels, which is taken for a decompression bomb; "
            "scale it down."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(_broken(name, error)) from None
    _refuse_bomb(name, image.size)
    return _decoded(name, image, preparation)


def _refuse_bomb(name: str, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"{name} has {size[0]} x {size[1]} pixels, more than the {MAX_PIXELS} that are "
            "decoded; scale it down."
        )
    if not size[0] or not size[1]:
        raise ImageError(f"{name} has {size[0]} x {size[1]} pixels; give one with some.")


def _broken(name: str, error: Exception) -> str:
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return f"{name} is broken ({reason}); replace it by a complete copy."


def _decoded(name: str, image: Image.Image, preparation: Preparation | None) -> Image.Image:
    try:
        orientation = 1
        if preparation is not None and image.format in _DRAFT_FORMATS:
            orientation = _orientation(image)
            _draft(image, preparation, turned=orientation >= 5)
        image.load()
        # Pillow turns a TIFF upright while it loads; before 10.1 it leaves the tag behind.
        orientation = 1 if image.format == "TIFF" else _orientation(image)
        rgb = _to_rgb(name, image)
    except ImageError:
        raise
    except Exception as error:  # a decoder of Pillow may raise anything on a broken file
        raise ImageError(_broken(name, error)) from None
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block says nothing of the pixels, which may be fine
        return 1
    return value if isinstance(value, int) else 1


def _draft(image: Image.Image, preparation: Preparation, *, turned: bool) -> None:
    if preparation.resampling in _UNDRAFTED:
        # These weigh single pixels fully or not at all, and a reduced picture has other pixels.
        return
    width, height = image.size[::-1] if turned else image.size
    needed = tuple(math.ceil(_DRAFT_MARGIN * side) for side in preparation.covering(width, height))
    image.draft(None, needed[::-1] if turned else needed)  # type: ignore[arg-type]


def _to_rgb(name: str, image: Image.Image) -> Image.Image:
    transparent = "transparency" in image.info
    if image.mode == "RGB" and not transparent:
        return image
    if image.mode.startswith("I"):
        return _from_16_bit(name, image)
    if image.mode == "F":
        raise ImageError(
            f"{name} has floating-point pixels, whose range nothing says; save it with 8 or 16 "
            "bits per channel."
        )
    if transparent or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        if image.mode in ("La", "RGBa"):
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(name: str, image: Image.Image) -> Image.Image:
    grey = np.asarray(image).astype(np.int64)
    transparency = image.info.get("transparency")
    if isinstance(transparency, int):
        grey[grey == transparency] = 65535
    if grey.min() < 0 or grey.max() > 65535:
        raise ImageError(
            f"{name} has grey values from {grey.min()} to {grey.max()}; save it with 8 or 16 bits "
            "per channel (0 to 65535)."
        )
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")


def _from_array(array: NDArray[Any]) -> Image.Image:
    channels = array.shape[2:]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in ((), (3,), (4,)):
        raise ImageError(
            f"An array of {array.dtype} {list(array.shape)} is no photograph; give uint8 [h, w], "
            "[h, w, 3] or [h, w, 4]."
        )
    name = "The array"
    _refuse_bomb(name, (array.shape[1], array.shape[0]))
    return _to_rgb(name, Image.fromarray(np.ascontiguousarray(array)))
