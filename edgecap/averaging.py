"""One captioner from several of the same design: the mean of their weights.

Runs that went on from one run differ little enough for the mean of their weights to be a good
captioner, often a better one than each: Wortsman et al., "Model soups", ICML 2022
(arXiv:2203.05482). With the run that they began from in it, what they forgot comes back: Wortsman
et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (arXiv:2109.01903). Here the second is
worth the more, for captions learned from scores are few and alike, and those before are not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecap.captioner import Design, TrainedCaptioner, read_design
from edgecap.data import Dataset
from edgecap.features import Progress
from edgecap.inference import KerasCaptions, score_searches
from edgecap.lineage import how_made_before
from edgecap_runtime.errors import OptionError

_SAME = ("encoder", "encoder_options", "decoder", "decoder_options", "vocabulary", "preparation")
"""Parts of a design that runs must have in common."""


def average_runs(
    parts: Sequence[tuple[Path, float]],
    *,
    name: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> TrainedCaptioner:
    """Average the weights of runs.

    Args:
        parts: folders and weights, two at least; the weights are divided by their sum.
        name: the captioner's name; that of the first run unless given.
        provenance: what else is known of how it is made.

    Returns:
        A captioner with the first run's search, whose provenance names the others.

    Raises:
        OptionError: fewer than two runs, a run twice, a weight that is not above 0, or runs of
            different designs.
        EdgecapError: a run can't be read.
    """
    if len(parts) < 2:
        raise OptionError("there is one run to average; give two or more")
    for place, (folder, weight) in enumerate(parts):
        if not (0 < weight < float("inf")):
            raise OptionError(
                f"the weight of {str(folder)!r} is {weight:g}; give a number above 0, or leave "
                "the run out"
            )
        if folder.resolve() in {earlier.resolve() for earlier, _ in parts[:place]}:
            raise OptionError(f"{str(folder)!r} is given twice; give it once, with both weights")
    designs = [read_design(folder) for folder, _ in parts]
    for (folder, _), design in zip(parts[1:], designs[1:], strict=True):
        _check_same(designs[0], parts[0][0], design, folder)
    total = sum(weight for _, weight in parts)
    shares = [weight / total for _, weight in parts]
    captioner = TrainedCaptioner.load(parts[0][0])
    models = (captioner.encoder, captioner.decoder)
    # By what the others differ: where none does, as in an encoder that did not learn, the mean is
    # the same to the last bit, and its features are found in their cache.
    firsts = [model.get_weights() for model in models]
    means = [[array.astype(np.float64) for array in first] for first in firsts]
    for (folder, _), share in zip(parts[1:], shares[1:], strict=True):
        other = TrainedCaptioner.load(folder)
        for mean, first, model in zip(means, firsts, (other.encoder, other.decoder), strict=True):
            for array, begun, more in zip(mean, first, model.get_weights(), strict=True):
                array += share * (more.astype(np.float64) - begun)
    for mean, model in zip(means, models, strict=True):
        model.set_weights([array.astype(np.float32) for array in mean])
    averaged = [
        {
            **how_made_before(design.name, design.provenance),
            "run": folder.resolve().name,
            "share": round(share, 4),
        }
        for design, (folder, _), share in zip(designs, parts, shares, strict=True)
    ]
    about = {"data": designs[0].provenance.get("data"), **(provenance or {}), "averaged": averaged}
    design = dataclasses.replace(designs[0], name=name or designs[0].name, provenance=about)
    return TrainedCaptioner(design, *models)


def _check_same(first: Design, first_folder: Path, other: Design, folder: Path) -> None:
    for part in _SAME:
        if getattr(first, part) != getattr(other, part):
            raise OptionError(
                f"{str(folder)!r} has another {part.replace('_', ' ')} than "
                f"{str(first_folder)!r}; give runs that went on from one run"
            )


def score_average(
    captioner: TrainedCaptioner,
    dataset: Dataset,
    split: str = "dev",
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a captioner on a split, and write that into its design.

    Args:
        captioner: as `average_runs` gives it.
        dataset: photographs with captions.
        split: which of them.
        cache: folder for features; None is the user's.
        progress: called with (images done, images in all), encoding first, then each search.

    Returns:
        {"split", "dev_images", "dev": {"greedy": figures, ...}}, as a training's record has them.
    """
    photos = dataset.split(split)
    features = captioner.features([photo.path for photo in photos], cache=cache, progress=progress)
    captions = KerasCaptions(captioner.decoder, captioner.design.vocabulary)
    references = [photo.captions for photo in photos]
    dev = score_searches(captions, features, references, captioner.design.defaults, progress)
    scores = {"split": split, "dev_images": len(photos), "dev": dev}
    about = {**captioner.design.provenance, "scores": scores}
    captioner.design = dataclasses.replace(captioner.design, provenance=about)
    return scores
