"""Whether an exported file says what the Keras model says, on real images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from edgecap_export.greedy import CaptionCall
from edgecap_export.pictures import Pictures
from edgecap_export.progress import Progress
from edgecap_export.prover import Prover
from edgecap_export.recipes import Gate
from edgecap_export.reference import log_softmax, proven_beam
from edgecap_export.source import CaptionerSource
from edgecap_export.tally import DifferenceTally
from edgecap_runtime.backends import Backend, SearchingBackend, open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import decode, read_words
from edgecap_runtime.manifest import Manifest

if TYPE_CHECKING:
    from edgecap_runtime.decoding import Hypothesis

__all__ = ["ENOUGH_IMAGES", "Difference", "Parity", "Scorer", "compare"]

ENOUGH_IMAGES = 100
"""Fewest images that prove an export; a share of equal captions among fewer is mostly chance."""

_SAME = 1e-3

References = Sequence[Sequence[Sequence[str]]]
Scorer = Callable[[list[list[str]], list[list[str]], References], Mapping[str, Any]]
"""Scores the file's captions, Keras' captions and the references: words per image (per caption).

Gives what JSON can hold, e.g. the paired BLEU-4 difference with its bootstrap interval."""


@dataclass(frozen=True)
class Difference:
    """One caption that is another one than Keras'."""

    image: str
    """The photograph's path, or its place among the images."""
    search: str
    """"greedy" or "beam"."""
    reference: str
    """What Keras says."""
    exported: str
    """What the file says."""


@dataclass(frozen=True)
class Parity:
    """The comparison of an exported file with the Keras model."""

    images: int
    """How many images were captioned by both."""
    generated: bool
    """Whether the images were generated for want of photographs."""
    distinct: int
    """How many different greedy captions Keras gave: 1 means that the image was ignored."""
    beam: int
    """Width of the beam of the beam search."""
    token_exact_greedy: float
    """Share of greedy captions that are the same, token for token, 0 to 1."""
    token_exact_beam: float
    """Share of captions by beam search that are the same."""
    largest: float
    """Largest difference of a log probability (nats), over the whole vocabulary after each prefix
    of Keras' greedy captions that a search reads, the start alone included."""
    p99: float
    """99th percentile of these differences, at most 2 % too high (it is counted in classes)."""
    gate: Gate
    """What the recipe asks for."""
    failures: tuple[str, ...]
    """What stayed below the gate, a clause each; empty if nothing did."""
    verdict: str
    """"proven", "checked on N", or "failed"."""
    differences: tuple[Difference, ...]
    """The captions that differ."""
    scores: Mapping[str, Any] | None = None
    """The scorer's answers for greedy and beam, if references were given."""
    search_exact: float | None = None
    """Share of images for which the search inside the file gives what greedy search by the file's
    steps gives, the same ids and their log probability within 1e-3, 0 to 1; None for a file
    without one."""
    one_call_exact: float | None = None
    """Share of images for which the file's one call gives the ids of its greedy captions, 0 to 1;
    None for a file without such a call."""

    @property
    def passed(self) -> bool:
        """Whether the file reached the gate."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Give it as what JSON can hold; this is `parity.json` in the file.

        A difference that is not finite, of a file written without a gate, becomes None.
        """
        plain = asdict(self)
        for name in ("largest", "p99"):
            plain[name] = plain[name] if math.isfinite(plain[name]) else None
        plain["differences"] = [asdict(item) for item in self.differences]
        plain["failures"] = list(self.failures)
        return plain


def compare(
    path: Path,
    prover: Prover,
    gate: Gate,
    progress: Progress,
    scorer: Scorer | None = None,
    references: References | None = None,
    call: CaptionCall | None = None,
) -> Parity:
    """Run a written file over the prover's pictures by the runtime's parts and compare.

    path: a file with its manifest inside, read as a device would read it; call: the file's one call
    from image to ids, if it has one. Raises what the runtime raises for a file that it can't run.
    """
    source, pictures, reference = prover.source, prover.pictures, prover.reference
    manifest = read_manifest(path)
    backend = open_backend(path, manifest)
    greedy: list[tuple[int, ...]] = []
    beam: list[tuple[int, ...]] = []
    tally = DifferenceTally()
    called: list[bool] = []
    searched: list[bool] = []
    options = proven_beam(source.defaults).changed(n_best=1)
    try:
        for place, image in enumerate(pictures.pixels):
            progress("compare", place, len(pictures.pixels))
            first = backend.encode(image)
            by_steps, best = (
                decode(backend.step, first, manifest.vocabulary, options.changed(beam=width))[0]
                for width in (1, options.beam)
            )
            beam.append(best.ids)
            if manifest.greedy is None:
                greedy.append(by_steps.ids)
            else:
                # As the runtime captions.
                words = cast("SearchingBackend", backend).greedy(first)
                found = read_words(words, manifest.greedy.options()) or by_steps
                greedy.append(found.ids)
                searched.append(_same(found, by_steps))
            if call is not None:
                called.append(_says(call, image, greedy[-1], manifest))
            # No search reads a caption that is as long as can be: nothing may follow it.
            prefix = reference.greedy[place][: options.max_words - 1]
            expected = prover.model.log_probabilities(
                reference.features[place : place + 1], np.array([prefix], np.int32)
            )[0]
            tally.add(_teacher_forced(backend, first, source.vocabulary.start_id, prefix), expected)
    finally:
        backend.close()
    progress("compare", len(pictures.pixels), len(pictures.pixels))
    pairs = {"greedy": (greedy, reference.greedy), "beam": (beam, reference.beam)}
    scores = _scores(source, pairs, scorer, references)
    return _judge(source, pictures, pairs, tally, gate, scores, searched, called)


def _same(found: Hypothesis, by_steps: Hypothesis) -> bool:
    """Tell whether two searches found the same."""
    difference = abs(found.log_probability - by_steps.log_probability)
    return found.ids == by_steps.ids and difference <= _SAME


def _says(
    call: CaptionCall, image: NDArray[np.uint8], words: tuple[int, ...], manifest: Manifest
) -> bool:
    """Tell whether one call says these words, and fills the row up as it should."""
    ids, length = call(image)
    end = [manifest.vocabulary.end_id] * (manifest.defaults.max_words - len(words))
    return length == len(words) and ids.tolist() == [*words, *end]


def _teacher_forced(
    backend: Backend, state: Any, start_id: int, words: Sequence[int]
) -> NDArray[np.float64]:
    """Give the file's log probabilities [T + 1, V] after the start id and after each word."""
    rows = []
    for word in (start_id, *words):
        logits, state = backend.step(np.array([word], np.int32), state)
        rows.append(logits[0])
    return log_softmax(np.array(rows))


_Pairs = Mapping[str, tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]]


def _scores(
    source: CaptionerSource, pairs: _Pairs, scorer: Scorer | None, references: References | None
) -> dict[str, Any] | None:
    if scorer is None or references is None:
        return None
    words = source.vocabulary.words_of
    return {
        search: dict(
            scorer(
                [list(words(ids)) for ids in said], [list(words(ids)) for ids in base], references
            )
        )
        for search, (said, base) in pairs.items()
    }


def _judge(
    source: CaptionerSource,
    pictures: Pictures,
    pairs: _Pairs,
    tally: DifferenceTally,
    gate: Gate,
    scores: dict[str, Any] | None,
    searched: Sequence[bool],
    called: Sequence[bool],
) -> Parity:
    vocabulary = source.vocabulary
    images = len(pictures.names)
    differences = tuple(
        Difference(
            name,
            search,
            vocabulary.join(vocabulary.words_of(base)),
            vocabulary.join(vocabulary.words_of(said)),
        )
        for search, (all_said, all_base) in pairs.items()
        for name, said, base in zip(pictures.names, all_said, all_base, strict=True)
        if said != base
    )
    failures = []
    proven = images >= ENOUGH_IMAGES and not pictures.generated
    for search in pairs:
        differing = sum(item.search == search for item in differences)
        # The small addend undoes the rounding of 1 - 0.9.
        if proven and differing > (1 - gate.identical) * images + 1e-9:
            failures.append(
                f"{differing} of {images} {search} captions differ "
                f"({gate.identical:.1%} must be identical)"
            )
    reached = tally.quantile(gate.quantile)
    # Written so that a difference that is not a number fails.
    if not reached <= gate.log_probability:
        place = "largest" if gate.quantile == 1 else f"{gate.quantile:.0%} quantile of the"
        failures.append(
            f"the {place} difference of log probabilities is {reached:.3g} "
            f"(at most {gate.log_probability:g})"
        )
    if not all(searched):
        failures.append(
            f"{searched.count(False)} of {images} captions by the search inside the file are not "
            "those that it says word by word"
        )
    if not all(called):
        failures.append(
            f"{called.count(False)} of {images} captions in one call are not those that the file "
            "says word by word"
        )
    kind = "generated pictures" if pictures.generated else "images"
    passed = "proven" if proven else f"checked on {images} {kind}"
    exact = {
        search: 1 - sum(item.search == search for item in differences) / images for search in pairs
    }
    return Parity(
        images=images,
        generated=pictures.generated,
        distinct=len(set(pairs["greedy"][1])),
        beam=proven_beam(source.defaults).beam,
        token_exact_greedy=exact["greedy"],
        token_exact_beam=exact["beam"],
        largest=tally.quantile(1),
        p99=tally.quantile(0.99),
        gate=gate,
        failures=tuple(failures),
        verdict="failed" if failures else passed,
        differences=differences,
        scores=scores,
        search_exact=searched.count(True) / images if searched else None,
        one_call_exact=called.count(True) / images if called else None,
    )
