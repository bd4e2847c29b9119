"""What a whole caption is worth: CIDEr-D and the caption's own BLEU, less what any image like its
own would earn by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecap.metrics import BleuJudge, DocumentFrequencies, UnigramJudge
from edgecap.training.batches import Words
from edgecap.training.options import TrainingOptions

_END = "</s>"
"""Stands for the end of a caption in its n-grams: one that stops at "on a" then scores worse. The
known ugliness of captions trained on CIDEr-D is that they learn to end so."""


class Reward:
    """Scores captions by the references of their images."""

    def __init__(self, words: Words, options: TrainingOptions) -> None:
        """Weigh the references.

        Args:
            words: each image's captions; document frequencies are theirs.
            options: the weights, `reward_bleu` and the like, and `longest`.
        """
        self._options = options
        ended = [[[*caption, _END] for caption in of_image] for of_image in words]
        frequencies = DocumentFrequencies(ended)
        self._consensus = [frequencies.judge(of_image) for of_image in ended]
        self._precision = [UnigramJudge(of_image) for of_image in words]
        self._bleu4 = [BleuJudge(of_image) for of_image in ended] if options.reward_bleu4 else []

    def of(self, image: int, caption: list[str], rivals: Sequence[int] = ()) -> float:
        """Score one caption.

        Args:
            image: whose it is, a place in `words`.
            caption: its words, without start and end; `longest` of them were cut off.
            rivals: images that look like it; read where `reward_unlike` is set, then not empty.
        """
        options = self._options
        # One that was cut has no end, and no end's n-grams.
        ended = [*caption, *([_END] if len(caption) < options.longest else [])]
        score = self._consensus[image].score(ended)
        score += options.reward_bleu * self._precision[image].score(caption)
        if options.reward_bleu4:
            score += options.reward_bleu4 * self._bleu4[image].score(ended)
        if options.reward_unlike:
            theirs = [self._consensus[rival].score(ended) for rival in rivals]
            score -= options.reward_unlike * float(np.mean(theirs))
        return score
