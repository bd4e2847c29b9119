"""Which search a captioner should have by default: tried on a split, chosen by a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgecap.data.coco_words import coco_words
from edgecap.metrics import cider_d, corpus_bleu
from edgecap.metrics.faults import caption_faults, limits_kept
from edgecap_runtime.errors import OptionError
from edgecap_runtime.options import DecodingOptions, search_name

if TYPE_CHECKING:
    import numpy as np

    from edgecap.inference import KerasCaptions

__all__ = ["JUDGES", "Tried", "best_search", "grid", "try_searches"]

_SLACK = 0.1
"""Points of BLEU, and a hundredth of that in CIDEr-D, that a wider beam must be better by: each row
of it costs a device time."""


@dataclass(frozen=True)
class Tried:
    """A search, and what captions it found."""

    options: DecodingOptions
    """How was searched."""
    bleu: Sequence[float]
    """Corpus BLEU-1 to 4, 0 to 100."""
    cider_d: float
    """Mean CIDEr-D, 0 to 10."""
    different: int
    """Captions that differ from each other."""
    mean_words: float
    """Words of a caption."""
    broken: Sequence[str]
    """Keys of the limits (`edgecap.metrics.faults.LIMITS`) that the captions don't keep to."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        options = self.options
        parts = [search_name(options.beam)]
        if options.beam > 1:
            parts.append(f"penalty {options.length_penalty:g}")
        if options.no_repeat_ngram:
            parts.append(f"{options.no_repeat_ngram}-grams once")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            **asdict(self.options),
            "corpus_bleu": [round(score, 3) for score in self.bleu],
            "cider_d": round(self.cider_d, 5),
            "different_captions": self.different,
            "mean_words": self.mean_words,
            "limits_broken": list(self.broken),
        }


JUDGES: dict[str, Callable[[Tried], float]] = {
    "bleu-4": lambda tried: tried.bleu[3],
    "cider-d": lambda tried: 100 * tried.cider_d,
}
"""By name, what a search can be chosen by; all in points of 100."""


def grid(
    defaults: DecodingOptions,
    beams: Iterable[int],
    penalties: Iterable[float],
    ngrams: Iterable[int] = (),
) -> list[DecodingOptions]:
    """Give the searches to try: greedy search once, for it knows no length penalty.

    Args:
        defaults: what stays as it is.
        beams: widths.
        penalties: length penalties for each width but 1.
        ngrams: lengths of n-grams that no caption says twice, 0 for any; the defaults' own if none.

    Raises:
        OptionError: a value is illegal, or there is none.
    """
    widths, exponents = sorted(set(beams)), sorted(set(penalties))
    found = [
        defaults.changed(beam=beam, length_penalty=penalty, no_repeat_ngram=ngram)
        for beam in widths
        for penalty in (exponents if beam > 1 else (defaults.length_penalty,))
        for ngram in sorted(set(ngrams)) or [defaults.no_repeat_ngram]
    ]
    if not found:
        raise OptionError("there is no search to try; give a beam, and a penalty if it is over 1")
    return found


def try_searches(
    captions: KerasCaptions,
    features: np.ndarray,
    references: Sequence[Sequence[Sequence[str]]],
    searches: Sequence[DecodingOptions],
    rules: dict[str, Any],
    progress: Callable[[int, int], None],
) -> Iterator[Tried]:
    """Caption a split by each search.

    Args:
        captions: decodes features.
        features: float32 [images, F].
        references: for each image, its captions as words.
        searches: what to try.
        rules: as `edgecap.evaluation.fault_rules` gives them.
        progress: called with (captions done, captions in all).
    """
    images = len(features)
    known = [coco_words(of_image) for of_image in references]
    for place, options in enumerate(searches):

        def report(done: int, _: int, before: int = place * images) -> None:
            progress(before + done, len(searches) * images)

        said = captions.best(features, options, report)
        faults = caption_faults(said, **rules)
        kept = limits_kept(faults)
        candidates = coco_words(said)
        yield Tried(
            options=options,
            bleu=corpus_bleu(candidates, known),
            cider_d=cider_d(candidates, known),
            different=faults["different_captions"],
            mean_words=faults["mean_words"],
            broken=[key for key, limit in kept.items() if limit["holds"] is False],
        )


def best_search(tried: Sequence[Tried], judge: str) -> Tried:
    """Choose among searches.

    Those whose captions break a limit stand back, where one keeps to all. Of the rest a narrower
    beam is taken unless a wider one is better by more than a tenth of a point.

    Args:
        tried: at least one.
        judge: a key of `JUDGES`.
    """
    points = JUDGES[judge]
    fit = [one for one in tried if not one.broken] or tried
    most = max(map(points, fit))
    near = [one for one in fit if points(one) >= most - _SLACK]
    least = min(one.options.beam for one in near)
    return max((one for one in near if one.options.beam == least), key=points)
