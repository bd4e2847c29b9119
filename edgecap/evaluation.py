"""Captions of many photographs, and their scores under the names of what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecap.metrics import corpus_bleu, sentence_mean_bleu1
from edgecap_runtime.atomic import replacing
from edgecap_runtime.options import search_name

Progress = Any
"""Called with (done, total)."""


def score_captions(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> dict[str, Any]:
    """Score captions.

    Args:
        candidates: a caption for each image, as words.
        references: for each image, its captions.

    Returns:
        "corpus_bleu": BLEU-1 to 4 over the whole set, 0 to 100, as papers report;
        "sentence_mean_bleu1": mean of each caption's own BLEU-1, 0 to 1, as notebooks report;
        "mean_words", "different_captions" and "images".
    """
    return {
        "corpus_bleu": [round(value, 3) for value in corpus_bleu(candidates, references)],
        "sentence_mean_bleu1": round(sentence_mean_bleu1(candidates, references) / 100, 5),
        "mean_words": round(sum(map(len, candidates)) / len(candidates), 3),
        "different_captions": len({tuple(words) for words in candidates}),
        "images": len(candidates),
    }


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
    from edgecap.features import image_features
    from edgecap.inference import KerasCaptions

    captioner = TrainedCaptioner.load(find_run(run))
    design = captioner.design
    features = image_features(
        captioner.encoder, design.preparation, photos, cache=cache, progress=progress
    )
    captions = KerasCaptions(captioner.decoder, design.vocabulary)
    for beam in beams:
        options = design.defaults.changed(beam=beam)
        yield search_name(options.beam), captions.best(features, options, progress=progress)
