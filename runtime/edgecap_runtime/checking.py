"""Whether a file says on this machine what it said on the one that exported it.

`measure` is what the export writes down and what a check compares with that: one function, so that
the two differ by the machine alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from .check_entry import FileAnswer, Machine, enlarged
from .decoding import Scorer, log_probabilities
from .errors import BundleError, first_line
from .manifest import ANY_PROCESSOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .backends import Backend, SearchingBackend
    from .check_entry import CheckPicture, KerasAnswer
    from .decoding import Answer, Request, State
    from .manifest import Manifest
    from .vocabulary import Vocabulary

__all__ = ["CheckResult", "Measure", "PictureResult", "Said", "check", "measure", "this_machine"]

_WIDEST_GAP = 1000.0
"""What stands for the gap to the second-best token where only one is allowed."""

_NO_CHECK = "the file carries nothing to check itself by; export it again with this edgecap"

_CAREFUL = (
    "its 8-bit products could overflow on x86 without VNNI, where slower ones are taken instead"
)
_ADVICE = (
    "Don't use this file here: take one of another recipe (float32 is right everywhere), install "
    "another version of the interpreter, or export the captioner again."
)

T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """What a file says of one picture here."""

    answer: FileAnswer
    """What it says step by step."""
    inside: tuple[int, ...] | None
    """Ids of the words by the search inside the file; None where there is none of these rules."""


Measure = Callable[["NDArray[np.uint8]", "KerasAnswer"], Said]
"""`measure` of one file: a picture, uint8 [SIDE, SIDE, 3], and what Keras says of it."""


@dataclass(frozen=True)
class PictureResult:
    """One picture's part of a check."""

    name: str
    """What the picture is called."""
    here: str
    """The file's greedy caption on this machine; empty where it fails."""
    exported: str
    """The file's greedy caption on the machine that exported it."""
    keras: str
    """Keras' greedy caption, for people; it is judged by nothing."""
    same: bool
    """Whether `here` and `exported` are the same words."""
    largest: float
    """Largest difference of a log-probability (nats) at equal prefixes; NaN where it fails."""
    faults: tuple[str, ...]
    """What is not as it was at export, a clause each; empty if all is."""


@dataclass(frozen=True)
class CheckResult:
    """Whether a file says here what it said on the machine that exported it."""

    pictures: tuple[PictureResult, ...]
    """The pictures; none for a file that carries nothing to check."""
    tolerance: float
    """Largest difference of a log-probability that is allowed; 0 where nothing is checked."""
    exported_on: Machine | None
    """The machine that exported the file; None where nothing is checked."""
    here: Machine
    """This machine."""
    careful: bool = False
    """Whether the file's 8-bit products could overflow on x86 without VNNI, so that ONNX Runtime
    is told to take slower ones there."""

    @property
    def checked(self) -> bool:
        """Whether there was anything to check."""
        return bool(self.pictures)

    @property
    def passed(self) -> bool | None:
        """Whether all is as it was at export; None where nothing is checked."""
        return not any(item.faults for item in self.pictures) if self.checked else None

    @property
    def largest(self) -> float:
        """Largest difference of a log-probability (nats); NaN where a picture failed, or none."""
        # numpy's maximum keeps a NaN.
        return float(np.max([item.largest for item in self.pictures])) if self.checked else math.nan

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if not self.checked:
            return _NO_CHECK
        same = sum(item.same for item in self.pictures)
        captions = f"{same} of {len(self.pictures)} captions"
        allowed = f"({self.tolerance:.2g} allowed)"
        if self.passed:
            return (
                f"this machine says what the exporting one said: {captions}, log-probabilities "
                f"within {self.largest:.2g} {allowed}"
            )
        apart = f"{self.largest:.2g} apart" if math.isfinite(self.largest) else "not finite"
        return (
            f"this machine does not say what the exporting one said: {captions}, log-probabilities "
            f"{apart} {allowed}"
        )

    def lines(self) -> list[str]:
        """Return the sentence and, where the check failed, what differs and what to do."""
        lines = [self.sentence, *([_CAREFUL] if self.careful else [])]
        if self.passed is not False:
            return lines
        for item in self.pictures:
            if item.faults:
                lines += [
                    f"{item.name}: {'; '.join(item.faults)}",
                    f"  here: {item.here or 'nothing'}",
                    f"  at export: {item.exported} (Keras: {item.keras})",
                ]
        return [*lines, f"exported on: {self.exported_on}", f"here: {self.here}", _ADVICE]

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold; a number that is not finite becomes None."""
        pictures = [asdict(item) for item in self.pictures]
        for item in pictures:
            item["largest"] = _finite(item["largest"])
            item["faults"] = list(item["faults"])
        return {
            "checked": self.checked,
            "passed": self.passed,
            "sentence": self.sentence,
            "careful": self.careful,
            "largest": _finite(self.largest),
            "tolerance": self.tolerance if self.checked else None,
            "exported_on": None if self.exported_on is None else asdict(self.exported_on),
            "here": asdict(self.here),
            "pictures": pictures,
        }


def measure(
    backend: Backend, manifest: Manifest, pixels: NDArray[np.uint8], keras: KerasAnswer
) -> Said:
    """Run a file over one picture, uint8 [SIDE, SIDE, 3].

    Its greedy words are searched by the file's defaults with a beam of 1. Raises `BundleError`
    where the interpreter fails or a number is not finite.
    """
    vocabulary = manifest.vocabulary
    options = manifest.decoding(beam=1)
    size = manifest.preparation
    first = backend.encode(enlarged(pixels, size.height, size.width))
    tokens = _tokens(keras, vocabulary)
    fed, state = [], first
    for word in (vocabulary.start_id, *tokens[:-1]):
        logits, state = backend.step(np.array([word], np.int32), state)
        fed.append(logits)
    at_prefixes = log_probabilities(fed, tokens)
    search = _greedy(first, vocabulary, manifest)
    said, scores, gaps = _run(search, backend)
    if not all(map(math.isfinite, (*at_prefixes, *scores))):
        raise BundleError("a word's log-probability is not finite; export the captioner again.")
    words = tuple(token for token in said if token != vocabulary.end_id)
    inside = None
    if manifest.greedy is not None and manifest.greedy.suits(options):
        ids, length, _ = cast("SearchingBackend", backend).greedy(first)
        inside = tuple(ids[:length].tolist())
    return Said(FileAnswer(tuple(at_prefixes), words, tuple(scores), tuple(gaps)), inside)


def _greedy(
    state: State, vocabulary: Vocabulary, manifest: Manifest
) -> Generator[Request, Answer, tuple[list[int], list[float], list[float]]]:
    """Search greedily; return the tokens, their log-probabilities and their gaps."""
    options = manifest.decoding(beam=1)
    scorer = Scorer(vocabulary, options)
    tokens: list[int] = []
    scores: list[float] = []
    gaps: list[float] = []
    token = vocabulary.start_id
    while len(tokens) < options.max_words:
        best, values, state = yield from scorer.candidates(
            np.array([token], np.int32), state, [tuple(tokens)], 2
        )
        if values[0, 0] == -np.inf:
            break  # no token is allowed
        token = int(best[0, 0])
        tokens.append(token)
        scores.append(float(values[0, 0]))
        gaps.append(min(float(values[0, 0] - values[0, -1]), _WIDEST_GAP))
        if token == vocabulary.end_id:
            break
    return tokens, scores, gaps


def _run(search: Generator[Request, Answer, T], backend: Backend) -> T:
    request = next(search)
    while True:
        try:
            request = search.send(backend.step(*request))
        except StopIteration as end:
            found: T = end.value
            return found


def check(manifest: Manifest, measure_one: Measure, interpreter: str) -> CheckResult:
    """Measure the pictures that a file carries and compare with what the exporting machine said.

    measure_one: `measure` of the open file; interpreter: name of its package. Raises `BundleError`
    for a picture that is damaged.
    """
    here = this_machine(interpreter)
    careful = interpreter == "onnxruntime" and manifest.processor != ANY_PROCESSOR
    entry = manifest.check
    if entry is None:
        return CheckResult((), 0.0, None, here, careful)
    results = []
    for picture in entry.pictures:
        pixels = picture.pixels()
        try:
            said = measure_one(pixels, picture.keras)
        except BundleError as error:
            results.append(_failed(picture, manifest.vocabulary, first_line(error)))
        else:
            results.append(_judge(picture, said, entry.tolerance, manifest.vocabulary))
    return CheckResult(tuple(results), entry.tolerance, entry.machine, here, careful)


def _judge(
    picture: CheckPicture, said: Said, tolerance: float, vocabulary: Vocabulary
) -> PictureResult:
    """Compare one picture's numbers and words.

    Words may differ only from where two were about equally likely at export; behind that the
    prefixes are not equal, and nothing more is compared.
    """
    exported, answer = picture.exported, said.answer
    differences = _differences(answer.at_prefixes, exported.at_prefixes)
    theirs, ours = _tokens(exported, vocabulary), _tokens(answer, vocabulary)
    parted = next(
        (index for index, pair in enumerate(zip_longest(theirs, ours)) if pair[0] != pair[1]), None
    )
    differences += _differences(
        answer.log_probabilities[:parted], exported.log_probabilities[:parted]
    )
    largest = float(np.max(differences)) if differences else 0.0
    faults = []
    # Written so that a difference that is not a number is a fault.
    if not largest <= tolerance:
        faults.append(f"a log-probability differs by {largest:.2g} ({tolerance:.2g} allowed)")
    if parted is not None and not _near(exported.gaps[parted : parted + 1], tolerance):
        faults.append(
            f"word {parted + 1} is {_word(ours, parted, vocabulary)}, was "
            f"{_word(theirs, parted, vocabulary)} and not about as likely"
        )
    if said.inside not in (None, answer.ids):
        faults.append("the search inside the file says other words than its steps")
    return PictureResult(
        name=picture.name,
        here=_text(answer.ids, vocabulary),
        exported=_text(exported.ids, vocabulary),
        keras=_text(picture.keras.ids, vocabulary),
        same=parted is None,
        largest=largest,
        faults=tuple(faults),
    )


def _failed(picture: CheckPicture, vocabulary: Vocabulary, reason: str) -> PictureResult:
    exported, keras = (_text(item.ids, vocabulary) for item in (picture.exported, picture.keras))
    return PictureResult(picture.name, "", exported, keras, False, math.nan, (reason,))


def _differences(found: Sequence[float], expected: Sequence[float]) -> list[float]:
    return [abs(one - other) for one, other in zip(found, expected, strict=True)]


def _near(gap: Sequence[float], tolerance: float) -> bool:
    """Tell whether two words were about equally likely; no gap: there was no second word."""
    return bool(gap) and gap[0] < tolerance


def _tokens(answer: KerasAnswer | FileAnswer, vocabulary: Vocabulary) -> tuple[int, ...]:
    return (*answer.ids, vocabulary.end_id) if answer.ended else answer.ids


def _word(tokens: Sequence[int], index: int, vocabulary: Vocabulary) -> str:
    ended = index >= len(tokens) or tokens[index] == vocabulary.end_id
    return "the end" if ended else f"'{vocabulary.words[tokens[index]]}'"


def _text(ids: tuple[int, ...], vocabulary: Vocabulary) -> str:
    return vocabulary.join(vocabulary.words_of(ids))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def this_machine(interpreter: str, threads: int | None = None) -> Machine:
    """Describe this machine; interpreter: name of the interpreter's package."""
    from .device.machine import describe_machine, integer_products

    about = describe_machine()
    name, architecture = about["cpu"], about["architecture"]
    if name == architecture and about["model"]:
        name = about["model"]
    version = about["versions"].get(interpreter)
    return Machine(
        processor=name,
        architecture=architecture,
        features=integer_products(about["flags"], architecture),
        interpreter=interpreter if version is None else f"{interpreter} {version}",
        threads=threads,
    )
