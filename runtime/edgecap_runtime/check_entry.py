"""What a file carries to check itself: a few small pictures, and what was said of them.

It is the entry `check.json`; docs/format.md describes it, `checking` measures and judges.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BundleError
from .jsonfields import Fields, json_bytes, loads_object
from .manifest import CHECK_ENTRY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .vocabulary import Vocabulary

__all__ = [
    "MOST_PICTURES",
    "SIDE",
    "CheckPicture",
    "FileAnswer",
    "KerasAnswer",
    "Machine",
    "SelfCheck",
    "enlarged",
    "pack_picture",
]

SIDE = 64
"""Height and width of a picture in the file."""

MOST_PICTURES = 8

_BYTES = SIDE * SIDE * 3
_MOST_TEXT = 20_000
"""Longest base64 of a picture: pixels that can't be made smaller take 16,400."""
_MOST_TOKENS = 1001
_RAW = -15
"""What tells zlib that there is no header."""
_DIGITS = 6
"""Decimals of the numbers in the entry."""


@dataclass(frozen=True)
class Machine:
    """What a file was run on."""

    processor: str
    """Its name, for example "AMD EPYC 9R14"."""
    architecture: str
    """For example "x86_64"."""
    features: str
    """The instructions for int8 products that it has, for example "AVX512-VNNI"."""
    interpreter: str
    """The interpreter's package and version, for example "onnxruntime 1.32.0"."""
    threads: int | None = None
    """The interpreter's threads; None where nobody said."""

    def __str__(self) -> str:
        parts = [self.architecture, self.features]
        about = f"{self.processor} ({', '.join(part for part in parts if part)})"
        threads = "" if self.threads is None else f", {self.threads} threads"
        return f"{about}, {self.interpreter}{threads}"


@dataclass(frozen=True)
class KerasAnswer:
    """What the Keras model says of a picture, greedily."""

    ids: tuple[int, ...]
    """The words' ids, without start and end."""
    log_probabilities: tuple[float, ...]
    """That of each word, and of the end token if the caption ended; natural logarithms."""

    @property
    def ended(self) -> bool:
        """Whether the end token was chosen; False where the caption was cut."""
        return len(self.log_probabilities) > len(self.ids)


@dataclass(frozen=True)
class FileAnswer:
    """What a file says of a picture on one machine."""

    at_prefixes: tuple[float, ...]
    """Log-probability of each of Keras' tokens after Keras' tokens before it."""
    ids: tuple[int, ...]
    """Ids of the file's own greedy words, without start and end."""
    log_probabilities: tuple[float, ...]
    """That of each of these, and of the end token if the caption ended."""
    gaps: tuple[float, ...]
    """By how much each is larger than that of the second-best token allowed there."""

    @property
    def ended(self) -> bool:
        """Whether the end token was chosen; False where the caption was cut."""
        return len(self.log_probabilities) > len(self.ids)


@dataclass(frozen=True)
class CheckPicture:
    """A picture with what was said of it; raises `BundleError` where the two contradict."""

    name: str
    """What it is called."""
    rgb: str
    """Base64 of raw deflate of its pixels, uint8 [SIDE, SIDE, 3]."""
    keras: KerasAnswer
    """What Keras says."""
    exported: FileAnswer
    """What the file said on the machine that exported it."""

    def __post_init__(self) -> None:
        keras, exported = self.keras, self.exported
        fits = (
            _fits(keras.ids, keras.log_probabilities)
            and _fits(exported.ids, exported.log_probabilities)
            and len(exported.at_prefixes) == len(keras.log_probabilities)
            and len(exported.gaps) == len(exported.log_probabilities)
            and len(self.rgb) <= _MOST_TEXT
        )
        if not fits:
            raise BundleError(
                f"{CHECK_ENTRY} contradicts itself about the picture {self.name!r}; export the "
                "captioner again."
            )

    def pixels(self) -> NDArray[np.uint8]:
        """Unpack it, uint8 [SIDE, SIDE, 3]; raises `BundleError` for one that is damaged."""
        unpacker = zlib.decompressobj(_RAW)
        try:
            packed = base64.b64decode(self.rgb, validate=True)
            # One byte more than there may be shows a picture that is too large, and no more.
            pixels = unpacker.decompress(packed, _BYTES + 1)
        except (binascii.Error, ValueError, zlib.error):
            pixels = b""
        if len(pixels) != _BYTES or not unpacker.eof:
            raise BundleError(
                f"The picture {self.name!r} in {CHECK_ENTRY} is damaged; copy the file again, or "
                "export the captioner again."
            )
        return np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE, 3)


@dataclass(frozen=True)
class SelfCheck:
    """The entry `check.json`; raises `BundleError` on illegal values."""

    tolerance: float
    """Largest difference of a log-probability (nats) between two right processors."""
    machine: Machine
    """The one that exported the file."""
    pictures: tuple[CheckPicture, ...]
    """The pictures, 1 to `MOST_PICTURES`."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.pictures) <= MOST_PICTURES:
            raise BundleError(
                f"{CHECK_ENTRY} has {len(self.pictures)} pictures where 1 to {MOST_PICTURES} "
                "belong; export the captioner again."
            )
        if not 0 < self.tolerance < math.inf:
            raise BundleError(
                f"{CHECK_ENTRY} has the tolerance {self.tolerance!r} where a number above 0 "
                "belongs; export the captioner again."
            )

    def _check_ids(self, vocabulary: Vocabulary) -> None:
        for picture in self.pictures:
            for place in (*picture.keras.ids, *picture.exported.ids):
                if not 0 <= place < len(vocabulary):
                    raise BundleError(
                        f"{CHECK_ENTRY} has the id {place}, outside the vocabulary's "
                        f"{len(vocabulary)} words; export the captioner again."
                    )

    def to_json(self) -> bytes:
        """Return the entry as the bytes in the file, numbers rounded."""
        return json_bytes(self._to_dict())

    def _to_dict(self) -> dict[str, Any]:
        whole = asdict(self)
        for picture in whole["pictures"]:
            for answer in (picture["keras"], picture["exported"]):
                for name, values in answer.items():
                    answer[name] = [round(value, _DIGITS) for value in values]
        return {"size": SIDE, **whole, "pictures": list(whole["pictures"])}

    def summary(self) -> dict[str, Any]:
        """Return the entry without the pictures' pixels."""
        whole = self._to_dict()
        for picture in whole["pictures"]:
            del picture["rgb"]
        return whole

    @classmethod
    def from_json(cls, content: bytes, vocabulary: Vocabulary) -> SelfCheck:
        """Read what `to_json` wrote; raises `BundleError`, for ids outside the vocabulary too."""
        item = loads_object(CHECK_ENTRY, content)
        if item.integer("size") != SIDE:
            raise BundleError(
                f"{CHECK_ENTRY} has pictures of {item.integer('size')} pixels a side, and this "
                f"edgecap-runtime reads {SIDE}; upgrade it with: pip install --upgrade "
                "edgecap-runtime"
            )
        machine = item.fields("machine")
        read = cls(
            tolerance=item.number("tolerance"),
            machine=Machine(
                processor=machine.text("processor"),
                architecture=machine.text("architecture"),
                features=machine.text("features"),
                interpreter=machine.text("interpreter"),
                threads=machine.optional_integer("threads"),
            ),
            pictures=tuple(_picture(picture) for picture in item.list_of_fields("pictures")),
        )
        read._check_ids(vocabulary)
        return read


def _picture(item: Fields) -> CheckPicture:
    keras, exported = item.fields("keras"), item.fields("exported")
    return CheckPicture(
        name=item.text("name"),
        rgb=item.text("rgb", _MOST_TEXT),
        keras=KerasAnswer(keras.integers("ids"), keras.numbers("log_probabilities")),
        exported=FileAnswer(
            at_prefixes=exported.numbers("at_prefixes"),
            ids=exported.integers("ids"),
            log_probabilities=exported.numbers("log_probabilities"),
            gaps=exported.numbers("gaps"),
        ),
    )


def _fits(ids: tuple[int, ...], log_probabilities: tuple[float, ...]) -> bool:
    return 0 <= len(log_probabilities) - len(ids) <= 1 and len(log_probabilities) <= _MOST_TOKENS


def pack_picture(pixels: NDArray[np.uint8]) -> str:
    """Return the base64 of raw deflate of uint8 [SIDE, SIDE, 3], as `CheckPicture.rgb`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    packed = packer.compress(np.ascontiguousarray(pixels).tobytes()) + packer.flush()
    return base64.b64encode(packed).decode("ascii")


def enlarged(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bring uint8 [SIDE, SIDE, 3] to [height, width, 3]: row i is row floor(i * SIDE / height)."""
    rows = np.arange(height) * SIDE // height
    columns = np.arange(width) * SIDE // width
    return np.ascontiguousarray(pixels[rows][:, columns])
