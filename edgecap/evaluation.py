"""Captions of many photographs, and their scores under the names of what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecap.data.coco_words import coco_words
from edgecap.metrics import METRICS, CaptionScorer
from edgecap.metrics.captions import check_candidates, check_references
from edgecap.metrics.faults import caption_faults, limits_kept
from edgecap.metrics.resampling import INTERVAL, SAMPLES
from edgecap_runtime.atomic import replacing
from edgecap_runtime.options import search_name

__all__ = [
    "Evaluated",
    "Evaluation",
    "caption_faults",
    "caption_photos",
    "compare_captions",
    "fault_rules",
    "judged_faults",
    "score_captions",
    "searches",
    "write_captions",
]

Progress = Any
"""Called with (done, total)."""


class Evaluation:
    """Scores captions of images whose references are read once."""

    def __init__(self, references: Sequence[Sequence[Sequence[str]]]) -> None:
        """Read the references.

        references: for each image, its captions as words.

        Raises:
            EdgecapError: an image has none, or one is a string.
        """
        check_references(references)
        self._scorer = CaptionScorer([coco_words(of_image) for of_image in references])

    def scores(self, candidates: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Score a caption for each image; see `score_captions`."""
        scores = self._scorer.score(_coco_words(candidates))
        return {
            **_report(scores, lambda score, digits: round(score.value, digits)),
            "mean_words": round(sum(map(len, candidates)) / len(candidates), 3),
            "different_captions": len({tuple(words) for words in candidates}),
            "images": len(candidates),
            "intervals": _report(
                scores,
                lambda score, digits: [round(score.low, digits), round(score.high, digits)],
            ),
            "resampling": {
                "interval": INTERVAL,
                "bootstrap_samples": SAMPLES,
                "over": "images",
                "ends": "percentiles",
                "seed": 0,
            },
            "document_frequencies": f"references of the {len(candidates)} images scored",
            "tokenisation": "COCO caption evaluation",
        }

    def consensus(self, candidates: Sequence[Sequence[str]]) -> list[float]:
        """Give the CIDEr-D of each image's caption, 0 to 10; their mean is "cider_d"."""
        return self._scorer.consensus(_coco_words(candidates))

    def difference(
        self, candidates: Sequence[Sequence[str]], baseline: Sequence[Sequence[str]]
    ) -> dict[str, Any]:
        """Compare two captions for each image; see `compare_captions`."""
        return _report(
            self._scorer.compare(_coco_words(candidates), _coco_words(baseline)),
            lambda found, digits: {
                "difference": round(found.value, digits),
                "low": round(found.low, digits),
                "high": round(found.high, digits),
                "p": round(found.p, 4),
            },
        )


@dataclass(frozen=True)
class Evaluated:
    """What one run or file says of a split, and how that scores."""

    name: str
    """What it is called beside others."""
    words: Mapping[str, list[list[str]]]
    """By search the caption of each photograph, as words; the captioner's own search comes last."""
    scores: Mapping[str, Mapping[str, Any]]
    """By search what `score_captions` gives, and "faults", what `judged_faults` gives."""
    apart: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By what is compared ("beam 3 minus greedy") what `compare_captions` gives."""


def score_captions(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> dict[str, Any]:
    """Score captions by all metrics, after the COCO evaluation's tokenisation of both sides.

    Args:
        candidates: a caption for each image, as words.
        references: for each image, its captions.

    Returns:
        "corpus_bleu": BLEU-1 to 4 over the whole set, 0 to 100, as papers report;
        "rouge_l": mean ROUGE-L, 0 to 100;
        "meteor_exact_stem": METEOR by exact and stem matches alone, 0 to 100, no METEOR of papers;
        "cider_d": mean CIDEr-D, 0 to 10, where papers print .62 or 62 for .62;
        "sentence_mean_bleu1": mean of each caption's own BLEU-1, 0 to 1, as notebooks report;
        "intervals": the lower and upper end of the 95 % interval of each of these, made as
        "resampling" says: images are drawn with replacement, and all metrics are scored on the
        same draws;
        "document_frequencies": the set that CIDEr-D's come from; drawing images leaves them as
        they are;
        "tokenisation"; "mean_words", "different_captions" and "images".

    Raises:
        EdgecapError: there is no caption, the numbers of captions and images differ, an image has
            no reference, or a caption is a string.
    """
    return Evaluation(references).scores(candidates)


def compare_captions(
    candidates: Sequence[Sequence[str]],
    baseline: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
) -> dict[str, Any]:
    """Say how much better one system's captions are than another's, and if it may be chance.

    Args:
        candidates: a caption for each image, as words.
        baseline: another system's.
        references: for each image, its captions.

    Returns:
        For each metric of `score_captions`, in its scale (for "corpus_bleu" a list of four):
        "difference", candidates minus baseline; "low" and "high", its 95 % interval by paired
        bootstrap; "p", two-sided, by approximate randomisation of 10 000 trials.

    Raises:
        EdgecapError: as for `score_captions`.
    """
    return Evaluation(references).difference(candidates, baseline)


def judged_faults(captions: Sequence[Sequence[str]], rules: Mapping[str, Any]) -> dict[str, Any]:
    """Give what `caption_faults` finds, and under "limits" what `limits_kept` says of it.

    captions: as words; rules: as `fault_rules` gives them.

    Raises:
        EdgecapError: as for `caption_faults`.
    """
    faults = caption_faults(captions, **rules)
    return {**faults, "limits": limits_kept(faults)}


def fault_rules(captioner: str | Path) -> dict[str, Any]:
    """Give what `caption_faults` wants to know of a run or a file: `max_words` and `unknown`.

    captioner: a run, a name from the box, or an exported file.
    """
    if Path(captioner).is_file():
        from edgecap_runtime.bundle import read_manifest

        manifest = read_manifest(captioner)
        defaults, vocabulary = manifest.defaults, manifest.vocabulary
    else:
        from edgecap.box import find_run
        from edgecap.captioner import read_design

        design = read_design(find_run(captioner))
        defaults, vocabulary = design.defaults, design.vocabulary
    unknown = vocabulary.unknown_id
    return {
        "max_words": defaults.max_words,
        "unknown": None if unknown is None else vocabulary.words[unknown],
    }


def _coco_words(candidates: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    check_candidates(candidates, len(candidates))  # a string would be joined letter by letter
    return coco_words(candidates)


def _report(
    scores: Mapping[str, Sequence[Any]], figures: Callable[[Any, int], Any]
) -> dict[str, Any]:
    """Give figures of each score by the metric's key, a list where it has several.

    figures: called with a score and the decimal places that its metric has in reports.
    """
    report: dict[str, Any] = {}
    for metric in METRICS:
        found = [figures(score, metric.decimals) for score in scores[metric.key]]
        report[metric.key] = found if len(found) > 1 else found[0]
    return report


def searches(beam: int | None) -> tuple[int | None, ...]:
    """The beams to score: the one asked for, or greedy and the captioner's own (None)."""
    return (1, None) if beam is None else (beam,)


def caption_photos(
    captioner: str | Path,
    photos: Sequence[Path],
    beams: Sequence[int | None],
    *,
    threads: int | None = None,
    cache: Path | None = None,
    progress: Progress = None,
) -> Iterator[tuple[str, list[list[str]]]]:
    """Caption photographs with a run, through Keras, or with a file, through the runtime.

    Args:
        captioner: a run, a name from the box, or an exported file.
        photos: the photographs.
        beams: widths to caption with; None is the captioner's own.
        threads: of the interpreter, for a file.
        cache: folder of encoder features, for a run.
        progress: called with (captions done, captions in all).

    Yields:
        The name of the search ("greedy" or "beam 3") and each photograph's words.
    """
    if Path(captioner).is_file():
        yield from _by_file(Path(captioner), photos, beams, threads, progress)
    else:
        yield from _by_run(captioner, photos, beams, cache, progress)


def write_captions(
    path: Path, photos: Sequence[Path], said: Mapping[str, Sequence[Sequence[str]]]
) -> None:
    """Write one JSON line a photograph: its name and its words by search."""
    with replacing(path) as stream:
        for place, photo in enumerate(photos):
            row = {"image": photo.name, **{name: words[place] for name, words in said.items()}}
            stream.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def _by_file(
    path: Path,
    photos: Sequence[Path],
    beams: Sequence[int | None],
    threads: int | None,
    progress: Progress,
) -> Iterator[tuple[str, list[list[str]]]]:
    from edgecap_runtime import Captioner

    with Captioner.load(path, threads=threads) as captioner:
        default = captioner.manifest.defaults.beam
        for turn, beam in enumerate(beams):
            words = []
            for photo in photos:
                words.append(list(captioner.caption(photo, beam=beam).words))
                if progress:
                    progress(turn * len(photos) + len(words), len(beams) * len(photos))
            yield search_name(beam or default), words


def _by_run(
    run: str | Path,
    photos: Sequence[Path],
    beams: Sequence[int | None],
    cache: Path | None,
    progress: Progress,
) -> Iterator[tuple[str, list[list[str]]]]:
    from edgecap.box import find_run
    from edgecap.captioner import TrainedCaptioner
    from edgecap.inference import KerasCaptions

    captioner = TrainedCaptioner.load(find_run(run))
    design = captioner.design
    features = captioner.features(photos, cache=cache, progress=progress)
    captions = KerasCaptions(captioner.decoder, design.vocabulary)
    for beam in beams:
        options = design.defaults.changed(beam=beam)
        yield search_name(options.beam), captions.best(features, options, progress=progress)
