"""All that a captioner's file says of itself, and how that is written into entries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .errors import BundleError, OptionError
from .jsonfields import Fields, json_bytes, loads_object, shown
from .kinds import KINDS
from .limits import STATE_SIDES, STATE_TENSORS, STATE_VALUES, VOCABULARY_WORDS
from .options import DecodingOptions
from .prefix import Prefix
from .preparation import Preparation
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from .check_entry import SelfCheck

__all__ = [
    "ANY_PROCESSOR",
    "CHECK_ENTRY",
    "ENTRY_NAMES",
    "FORMAT_VERSION",
    "Manifest",
    "Prefix",
    "SearchInside",
    "StateTensor",
    "requires_checksum",
]

FORMAT_VERSION = "1.4"
"""The version written; files of another major version are refused."""

MANIFEST_ENTRY = "edgecap.json"
VOCABULARY_ENTRY = "vocabulary.txt"
PARITY_ENTRY = "parity.json"
CHECK_ENTRY = "check.json"
ENTRY_NAMES = (MANIFEST_ENTRY, VOCABULARY_ENTRY, PARITY_ENTRY, CHECK_ENTRY)
"""The entries that a file of edgecap has; the last two may be missing."""

ANY_PROCESSOR = "any"
"""The `Manifest.processor` of a file whose integer products overflow nowhere."""

_FIRST_WITH_CHECKSUM = 4
_OLD_PROCESSOR = "vnni"


@dataclass(frozen=True)
class StateTensor:
    """One tensor of the decoder's state; in the graph `state_<name>` and `next_state_<name>`."""

    name: str
    """Name without its prefix, for example "h0"."""
    shape: tuple[int, ...]
    """Shape of one row (the tensor is [rows, *shape])."""
    dtype: str = "float32"
    """Element type; float32 is the only one."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise BundleError(f"The state tensor's name is {self.name!r}; give letters and digits.")
        sides = self.shape
        if not 1 <= len(sides) <= STATE_SIDES or any(side < 1 for side in sides):
            raise BundleError(
                f"The state tensor {self.name} has the shape {shown(list(sides))}; give 1 to "
                f"{STATE_SIDES} sides, each of 1 or more."
            )
        if math.prod(sides) > STATE_VALUES:
            raise BundleError(
                f"The state tensor {self.name} has the shape {shown(list(sides))}; a row of at "
                f"most {STATE_VALUES} values is read."
            )
        if self.dtype != "float32":
            raise BundleError(
                f"The state tensor {self.name} is {self.dtype!r}; float32 is the only legal type."
            )


@dataclass(frozen=True)
class SearchInside:
    """A greedy search inside the file; its rules are fixed there."""

    max_words: int
    """Most words, and the length of the row of ids."""
    min_words: int = 0
    """Fewest words before the end."""
    no_repeat_ngram: int = 0
    """Length of word sequences that never occur twice; 0 allows all."""

    def __post_init__(self) -> None:
        try:
            self.options()
        except OptionError as error:
            raise BundleError(f"The search inside the file contradicts itself: {error}") from None

    def options(self, length_penalty: float = 0.0) -> DecodingOptions:
        """Give the options of the same search outside; the penalty changes nothing but a score."""
        return DecodingOptions(beam=1, length_penalty=length_penalty, **asdict(self))

    def suits(self, options: DecodingOptions) -> bool:
        """Tell whether it finds what is found by these options."""
        return options == self.options(options.length_penalty)


@dataclass(frozen=True)
class Manifest:
    """All that a captioner's file says of itself; raises `BundleError` on illegal values."""

    name: str
    """The captioner's name, for people."""
    encoder: str
    """The encoder's name, for example "mobilenet"."""
    decoder: str
    """The decoder's name, for example "lstm"."""
    recipe: str
    """Name of the quantization recipe, for example "float32"."""
    preparation: Preparation
    """How photographs are prepared."""
    vocabulary: Vocabulary
    """The words and their roles."""
    state: tuple[StateTensor, ...]
    """The tensors that the decoder carries from word to word."""
    created: str
    """Date of the export, ISO 8601."""
    defaults: DecodingOptions = field(default_factory=DecodingOptions)
    """Decoding options where the caller gives none."""
    kind: str = "step"
    """What the decoder's graph is, one of `kinds.KINDS`."""
    prefix: Prefix | None = None
    """What the graph of kind `prefix` takes; None for a step."""
    greedy: SearchInside | None = None
    """The search inside the file that goes from the first state on; None where there is none."""
    one_call: SearchInside | None = None
    """That which goes from the image on, in one call; None where there is none."""
    processor: str = ANY_PROCESSOR
    """The processors that an .onnx file's integer products are right on: `ANY_PROCESSOR`, or only
    those of x86 that are named, such as "vnni"; also of files before 1.4, which don't say."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What it was made from: hash of the weights, tool versions, training data, licence ..."""
    parity: Mapping[str, Any] | None = None
    """The export's comparison with Keras; None where none was made."""
    check_json: bytes | None = field(default=None, repr=False)
    """The entry `check.json`, which `check` reads; None where there is none."""
    format_version: str = FORMAT_VERSION
    """Version of the format, "major.minor"."""

    def __post_init__(self) -> None:
        _check_version(self.format_version)
        if self.kind not in KINDS:
            raise BundleError(
                f"The file's decoder is of kind {self.kind!r}, and this edgecap-runtime runs "
                f"{', '.join(KINDS)}; upgrade it with: pip install --upgrade edgecap-runtime"
            )
        if not self.state:
            raise BundleError("The file names no state tensor; a decoder has at least 1.")
        if len(self.state) > STATE_TENSORS:
            raise BundleError(
                f"The file names {len(self.state)} state tensors, and {STATE_TENSORS} are the most "
                "that are read; export the captioner again."
            )
        KINDS[self.kind].check(self.prefix, self.vocabulary)
        searches = {"searches by itself": self.greedy, "captions in one call": self.one_call}
        for claim, search in searches.items():
            if search is not None and not KINDS[self.kind].carries:
                raise BundleError(
                    f"The file says that it {claim}, which a decoder of kind {self.kind!r} can't; "
                    "export the captioner again."
                )
        try:
            self.decoding()
        except OptionError as error:
            raise BundleError(f"The file contradicts itself: {error}") from None

    @cached_property
    def check(self) -> SelfCheck | None:
        """What the file checks itself by on another machine; None where it carries nothing.

        Captions don't need it, so it is read when it is asked for: a cold start doesn't pay for
        it. Raises `BundleError` where it contradicts itself.
        """
        if self.check_json is None:
            return None
        from .check_entry import SelfCheck

        return SelfCheck.from_json(self.check_json, self.vocabulary)

    def decoding(self, **choices: Any) -> DecodingOptions:
        """Give the file's decoding options with those choices that aren't None in their place.

        Raises `OptionError` for an illegal value, or more words than the decoder can read.
        """
        options = self.defaults.changed(**choices)
        KINDS[self.kind].check_words(self.prefix, options.max_words)
        return options

    def to_entries(self) -> dict[str, bytes]:
        """Write as named entries: `edgecap.json`, `vocabulary.txt`, and the others if there are."""
        roles = asdict(self.vocabulary)
        words = roles.pop("words")
        head = {
            "format_version": self.format_version,
            "name": self.name,
            "kind": self.kind,
            "prefix": None if self.prefix is None else asdict(self.prefix),
            "greedy": None if self.greedy is None else asdict(self.greedy),
            "one_call": None if self.one_call is None else asdict(self.one_call),
            "encoder": self.encoder,
            "decoder": self.decoder,
            "recipe": self.recipe,
            "processor": self.processor,
            "created": self.created,
            "preparation": asdict(self.preparation),
            "vocabulary": {"size": len(words), **roles},
            "state": [asdict(tensor) for tensor in self.state],
            "defaults": asdict(self.defaults),
            "source": dict(self.source),
        }
        entries: dict[str, bytes] = {}
        if self.parity is not None:
            entries[PARITY_ENTRY] = json_bytes(dict(self.parity))
        if self.check_json is not None:
            entries[CHECK_ENTRY] = self.check_json
        entries[VOCABULARY_ENTRY] = "".join(f"{word}\n" for word in words).encode("utf-8")
        # Last, so that a file that was cut between two entries lacks it and is refused.
        entries[MANIFEST_ENTRY] = json_bytes(head)
        return entries

    @classmethod
    def from_entries(cls, entries: Mapping[str, bytes]) -> Manifest:
        """Read what `to_entries` wrote; keys that this version doesn't know are ignored.

        Raises `BundleError` for what is missing, of a newer major version or contradictory.
        """
        for entry in (MANIFEST_ENTRY, VOCABULARY_ENTRY):
            _require(entries, entry)
        head = loads_object(MANIFEST_ENTRY, entries[MANIFEST_ENTRY])
        version = head.text("format_version")
        _check_version(version)
        parity = entries.get(PARITY_ENTRY)
        try:
            return cls(
                format_version=version,
                name=head.text("name"),
                kind=head.text("kind"),
                prefix=_prefix(head.fields("prefix")) if "prefix" in head else None,
                greedy=_search(head.fields("greedy")) if "greedy" in head else None,
                one_call=_search(head.fields("one_call")) if "one_call" in head else None,
                encoder=head.text("encoder"),
                decoder=head.text("decoder"),
                recipe=head.text("recipe"),
                processor=head.text("processor") if "processor" in head else _OLD_PROCESSOR,
                created=head.text("created"),
                preparation=_preparation(head.fields("preparation")),
                vocabulary=_vocabulary(head.fields("vocabulary"), entries[VOCABULARY_ENTRY]),
                state=tuple(
                    StateTensor(item.text("name"), item.integers("shape"), item.text("dtype"))
                    for item in head.list_of_fields("state")
                ),
                defaults=_defaults(head.fields("defaults")),
                source=head.raw("source"),
                parity=None if parity is None else loads_object(PARITY_ENTRY, parity).all(),
                check_json=entries.get(CHECK_ENTRY),
            )
        except OptionError as error:
            raise BundleError(f"The file contradicts itself: {error}") from None


def requires_checksum(entries: Mapping[str, bytes]) -> bool:
    """Return whether a file with these entries must end with a checksum: from version 1.4 on.

    Raises `BundleError` where there is no version, or none that can be read.
    """
    if CHECK_ENTRY in entries:
        return True
    _require(entries, MANIFEST_ENTRY)
    version = loads_object(MANIFEST_ENTRY, entries[MANIFEST_ENTRY]).text("format_version")
    _check_version(version)
    return int(version.partition(".")[2]) >= _FIRST_WITH_CHECKSUM


def _require(entries: Mapping[str, bytes], entry: str) -> None:
    if entry not in entries:
        raise BundleError(
            f"The file holds no {entry}, so it is no captioner of edgecap; make one with: "
            "edgecap export"
        )


def _check_version(version: str) -> None:
    own = FORMAT_VERSION.partition(".")[0]
    major, dot, minor = version.partition(".")
    if not (major.isdecimal() and dot and minor.isdecimal()):
        raise BundleError(
            f"The file's format version is {version!r} where one like {FORMAT_VERSION} belongs; "
            "export the captioner again."
        )
    if int(major) > int(own):
        raise BundleError(
            f"The file has format version {version}, and this edgecap-runtime reads {own}.x; "
            "upgrade it with: pip install --upgrade edgecap-runtime"
        )
    if int(major) < int(own):
        raise BundleError(
            f"The file has format version {version}, older than the {own}.x that this "
            "edgecap-runtime reads; export the captioner again."
        )


def _preparation(item: Fields) -> Preparation:
    return Preparation(
        height=item.integer("height"),
        width=item.integer("width"),
        fit=item.text("fit"),
        resampling=item.text("resampling"),
        channels=item.text("channels"),
        scaling=item.text("scaling"),
    )


def _prefix(item: Fields) -> Prefix:
    return Prefix(
        length=item.optional_integer("length"),
        padding_id=item.integer("padding_id"),
        padded=item.text("padded"),
        skipped_id=item.optional_integer("skipped_id"),
    )


def _search(item: Fields) -> SearchInside:
    return SearchInside(
        max_words=item.integer("max_words"),
        min_words=item.integer("min_words"),
        no_repeat_ngram=item.integer("no_repeat_ngram"),
    )


def _defaults(item: Fields) -> DecodingOptions:
    return DecodingOptions(
        beam=item.integer("beam"),
        length_penalty=item.number("length_penalty"),
        min_words=item.integer("min_words"),
        max_words=item.integer("max_words"),
        no_repeat_ngram=item.integer("no_repeat_ngram"),
        n_best=item.integer("n_best"),
    )


def _vocabulary(item: Fields, text: bytes) -> Vocabulary:
    if text.count(b"\n") > VOCABULARY_WORDS:
        raise BundleError(
            f"The file's vocabulary has more than {VOCABULARY_WORDS} words, the most that are "
            "read; export the captioner again."
        )
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(
            f"{VOCABULARY_ENTRY} in the file is no UTF-8 ({error}); export the captioner again."
        ) from None
    words = lines[:-1] if lines[-1] == "" else lines
    if len(words) != item.integer("size"):
        raise BundleError(
            f"The file's vocabulary has {len(words)} words, but {MANIFEST_ENTRY} says "
            f"{item.integer('size')}; export the captioner again."
        )
    return Vocabulary(
        words=tuple(words),
        start_id=item.integer("start_id"),
        end_id=item.integer("end_id"),
        padding_id=item.optional_integer("padding_id"),
        unknown_id=item.optional_integer("unknown_id"),
        never_said=item.integers("never_said"),
        attach_left=item.texts("attach_left"),
    )
