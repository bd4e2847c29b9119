"""Captions photographs with one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, cast

from .backends import default_threads, interpreter_of, open_backend
from .bundle import read_model
from .decoding import decode, greedy_words, read_words
from .errors import EdgecapError
from .preparation import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from .backends import Backend, SearchingBackend
    from .check_entry import KerasAnswer
    from .checking import CheckResult, Said
    from .decoding import Hypothesis, State, Words
    from .manifest import Manifest
    from .options import DecodingOptions
    from .preparation import Photo

__all__ = ["Alternative", "Caption", "Captioner", "Timings"]


@dataclass(frozen=True)
class Timings:
    """How long the parts of one caption took, in milliseconds."""

    prepare: float
    """Reading, decoding and resizing the photograph."""
    encode: float
    """The encoder, from pixels to the first state."""
    decode: float
    """All decoder steps with the search around them, be that outside or inside the file."""
    steps: int
    """Number of decoder steps; in a beam one step takes all rows."""

    @property
    def per_step(self) -> float:
        """Milliseconds per decoder step, the search included."""
        return self.decode / self.steps if self.steps else 0.0


@dataclass(frozen=True)
class Alternative:
    """One caption that the search found."""

    text: str
    """The caption as people write it."""
    words: tuple[str, ...]
    """Its words as the vocabulary has them."""
    ids: tuple[int, ...]
    """Its words' ids."""
    log_probability: float
    """Natural logarithm of its probability, the end token included."""
    score: float
    """`log_probability` / length ** length_penalty, by which captions are ranked."""


@dataclass(frozen=True)
class Caption(Alternative):
    """The best caption of a photograph."""

    timings: Timings
    """How long its parts took."""
    alternatives: tuple[Alternative, ...]
    """The other captions wanted by `n_best`, best first."""


class Captioner:
    """A captioner's file, open in its interpreter.

    One Captioner may be shared by threads: interpreter calls take turns, everything else runs at
    the same time. Use it as a context manager or call `close()` to free the interpreter early.
    """

    def __init__(
        self,
        manifest: Manifest,
        backend: Backend,
        *,
        more: Callable[[], Sequence[Backend]] | None = None,
    ) -> None:
        """Join a manifest and a backend; `Captioner.load` does this for a file.

        more: opens backends of one thread each for `caption_batch`; None where there are none.
        """
        self._manifest = manifest
        self._backend: Backend | None = backend
        self._more = more
        self._crew: list[Captioner] = []
        self._lock = Lock()

    @classmethod
    def load(cls, path: str | os.PathLike[str], threads: int | None = None) -> Captioner:
        """Open a .tflite or .onnx file that edgecap exported.

        The file is read into memory once; changing it afterwards disturbs nothing. threads:
        number of the interpreter's threads; None for the machine's cores, at most 4. Raises
        `BundleError` for a file that is no captioner or is damaged, `MissingExtraError` where its
        interpreter isn't installed, `OptionError` for an illegal number of threads.
        """
        file = read_model(path)
        manifest = file.manifest
        count = default_threads() if threads is None else threads

        def more() -> list[Backend]:
            return [open_backend(file, manifest, 1) for _ in range(count)]

        backend = open_backend(file, manifest, count)
        return cls(manifest, backend, more=more if count > 1 else None)

    @property
    def manifest(self) -> Manifest:
        """All that the file says of itself."""
        return self._manifest

    def caption(
        self,
        photo: Photo,
        *,
        beam: int | None = None,
        length_penalty: float | None = None,
        min_words: int | None = None,
        max_words: int | None = None,
        no_repeat_ngram: int | None = None,
        n_best: int | None = None,
    ) -> Caption:
        """Caption a photograph.

        photo: path, bytes of an image file, Pillow image or uint8 array. The options are those
        of `DecodingOptions`; None takes the file's default. Raises `ImageError` for a photograph
        that can't be used, `OptionError` for an illegal option.
        """
        options = self._manifest.decoding(
            beam=beam,
            length_penalty=length_penalty,
            min_words=min_words,
            max_words=max_words,
            no_repeat_ngram=no_repeat_ngram,
            n_best=n_best,
        )
        begun = perf_counter()
        image = prepare(photo, self._manifest.preparation)
        return self._caption(image, (perf_counter() - begun) * 1e3, options)

    def stream(
        self,
        photo: Photo,
        *,
        min_words: int | None = None,
        max_words: int | None = None,
        no_repeat_ngram: int | None = None,
    ) -> Iterator[str]:
        """Caption greedily and give each word as soon as it is known.

        The words equal `caption(photo, beam=1).words`. The photograph is prepared and encoded
        before this returns, so that its errors appear here; the steps run as words are asked for.
        """
        options = self._manifest.decoding(
            beam=1, min_words=min_words, max_words=max_words, no_repeat_ngram=no_repeat_ngram
        )
        state = self._encode(prepare(photo, self._manifest.preparation))
        return greedy_words(self._step, state, self._manifest.vocabulary, options)

    def caption_batch(
        self,
        photos: Iterable[Photo],
        *,
        beam: int | None = None,
        length_penalty: float | None = None,
        min_words: int | None = None,
        max_words: int | None = None,
        no_repeat_ngram: int | None = None,
        n_best: int | None = None,
    ) -> list[Caption]:
        """Caption photographs, several at a time; the captions are those of `caption`.

        A Captioner of n threads opens n interpreters of one thread each for this, at the first
        call, and keeps them until it is closed: more captions a second for more memory. Give
        `threads=1` to `load` to do without.

        Options as in `caption`. The first photograph that can't be used ends it with an
        `ImageError`.
        """
        from .crew import in_order

        options = self._manifest.decoding(
            beam=beam,
            length_penalty=length_penalty,
            min_words=min_words,
            max_words=max_words,
            no_repeat_ngram=no_repeat_ngram,
            n_best=n_best,
        )

        def caption(worker: Captioner, photo: Photo) -> Caption:
            return worker._caption(*worker._timed_prepare(photo), options)

        return list(in_order(self._open_crew(), caption, photos))

    def check(self) -> CheckResult:
        """Tell whether the file says here what it said on the machine that exported it.

        It captions the few small pictures that the file carries. A file of a format older than 1.4
        carries none: its result has `checked` False and `passed` None. Raises `BundleError` for a
        picture that is damaged.
        """
        # Here, so that a cold start doesn't pay for it.
        from .checking import check, measure

        def measure_one(pixels: NDArray[np.uint8], keras: KerasAnswer) -> Said:
            with self._lock:
                return measure(self._open(), self._manifest, pixels, keras)

        with self._lock:
            interpreter = interpreter_of(self._open())
        return check(self._manifest, measure_one, interpreter)

    def close(self) -> None:
        """Free the interpreter; captions can't be made afterwards."""
        with self._lock:
            if self._backend is not None:
                self._backend.close()
                self._backend = None
            for helper in self._crew:
                helper.close()
            self._crew = []

    def __enter__(self) -> Captioner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_crew(self) -> list[Captioner]:
        """Give Captioners that work at the same time; this one alone where there are no more."""
        with self._lock:
            self._open()
            if self._more is None:
                return [self]
            if not self._crew:
                self._crew = [Captioner(self._manifest, backend) for backend in self._more()]
            return self._crew

    def _timed_prepare(self, photo: Photo) -> tuple[NDArray[np.uint8], float]:
        begun = perf_counter()
        image = prepare(photo, self._manifest.preparation)
        return image, (perf_counter() - begun) * 1e3

    def _caption(
        self, image: NDArray[np.uint8], prepare_ms: float, options: DecodingOptions
    ) -> Caption:
        begun = perf_counter()
        state = self._encode(image)
        encoded = perf_counter()
        found, steps = self._search(state, options)
        decoded = perf_counter()
        timings = Timings(prepare_ms, (encoded - begun) * 1e3, (decoded - encoded) * 1e3, steps)
        best, *others = (self._alternative(hypothesis) for hypothesis in found)
        return Caption(
            best.text,
            best.words,
            best.ids,
            best.log_probability,
            best.score,
            timings,
            tuple(others),
        )

    def _search(self, state: State, options: DecodingOptions) -> tuple[list[Hypothesis], int]:
        """Give what a search finds and its number of steps, by the file's own search if it can."""
        inside = self._manifest.greedy
        if inside is not None and inside.suits(options):
            found = read_words(self._words(state), options)
            if found is not None:
                return [found], min(len(found.ids) + 1, options.max_words)
        steps = 0

        def counted(ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
            nonlocal steps
            steps += 1
            return self._step(ids, state)

        return decode(counted, state, self._manifest.vocabulary, options), steps

    def _alternative(self, hypothesis: Hypothesis) -> Alternative:
        vocabulary = self._manifest.vocabulary
        words = vocabulary.words_of(hypothesis.ids)
        return Alternative(
            vocabulary.join(words),
            words,
            hypothesis.ids,
            hypothesis.log_probability,
            hypothesis.score,
        )

    def _encode(self, image: NDArray[np.uint8]) -> State:
        with self._lock:
            return self._open().encode(image)

    def _step(self, ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        with self._lock:
            return self._open().step(ids, state)

    def _words(self, state: State) -> Words:
        with self._lock:
            # A manifest with a search was checked against the file when it was opened.
            return cast("SearchingBackend", self._open()).greedy(state)

    def _open(self) -> Backend:
        if self._backend is None:
            raise EdgecapError("This Captioner is closed; load it again with Captioner.load(path).")
        return self._backend
