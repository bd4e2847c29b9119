"""What chance has to do with a score, and with the difference between two systems' scores.

Images are drawn with replacement for intervals (Koehn: "Statistical Significance Tests for Machine
Translation Evaluation", EMNLP 2004), and captions change sides for p values (approximate
randomisation: Noreen, "Computer-Intensive Methods for Testing Hypotheses", 1989; Riezler, Maxwell:
"On Some Pitfalls in Automatic Evaluation and Significance Testing for MT", ACL workshop 2005). All
that is needed is a table with a row for each image and a function that scores sums of rows
(`edgecap.metrics.metric`), so all metrics are scored on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgecap.metrics.bleu import CorpusBleu
from edgecap.metrics.captions import Tokens, check_candidates, check_references
from edgecap.metrics.metric import Floats, table_of
from edgecap_runtime.errors import OptionError

SAMPLES = 1000
"""Draws of images behind an interval."""
TRIALS = 10_000
"""Random exchanges behind a p value, which is 1/10 001 at least."""
INTERVAL = 0.95
"""Share of the draws that lie in an interval."""

_TOGETHER = 500
"""Draws whose sums are taken at once: a few megabytes for a thousand images."""

Scores = Callable[[Floats], Floats]
"""Scores of summed rows, [..., columns] -> [..., scores]."""


def bootstrap(table: Floats, scores: Scores, samples: int = SAMPLES, seed: int = 0) -> Floats:
    """Give each score's 95 % interval, the percentiles of scores of drawn images.

    Args:
        table: float64 [images, columns].
        scores: what makes scores of summed rows.
        samples: how many draws.
        seed: of the draws; the same seed draws the same images.

    Returns:
        float64 [2, scores], lower and upper ends.

    Raises:
        OptionError: `samples` is less than 1.
    """
    return _interval(scores(_drawn_sums(table, samples, seed)))


def paired_bootstrap(
    ours: Floats, theirs: Floats, scores: Scores, samples: int = SAMPLES, seed: int = 0
) -> Floats:
    """Give the 95 % interval of each score's difference, both systems scored on the same draws.

    Args:
        ours: one system's table, float64 [images, columns].
        theirs: another's, of the same images.
        scores: what makes scores of summed rows.
        samples: how many draws.
        seed: of the draws.

    Returns:
        float64 [2, scores]: ours minus theirs.

    Raises:
        OptionError: `samples` is less than 1.
    """
    return _interval(
        scores(_drawn_sums(ours, samples, seed)) - scores(_drawn_sums(theirs, samples, seed))
    )


def randomisation_p(
    ours: Floats, theirs: Floats, scores: Scores, trials: int = TRIALS, seed: int = 0
) -> Floats:
    """Give the two-sided p value of each score's difference, by approximate randomisation.

    Where the two systems were alike, it would not matter which of them said a caption. So in each
    trial a coin is thrown for every image, whether the two captions change sides; p is the share of
    trials whose difference is as large as the real one, the real one counted as a trial.

    Args:
        ours: one system's table, float64 [images, columns].
        theirs: another's, of the same images.
        scores: what makes scores of summed rows.
        trials: how many.
        seed: of the coins.

    Returns:
        float64 [scores], from 1 / (trials + 1) to 1.

    Raises:
        OptionError: `trials` is less than 1.
    """
    if trials < 1:
        raise OptionError(f"The number of randomisation trials is {trials}; use 1 or more.")
    total, other = ours.sum(axis=0), theirs.sum(axis=0)
    change = theirs - ours
    least = np.abs(scores(total) - scores(other)) - 1e-9  # sums of floats are a little off
    dice = np.random.default_rng(seed)
    as_large = np.ones_like(least)
    for start in range(0, trials, _TOGETHER):
        count = min(_TOGETHER, trials - start)
        coins = dice.integers(0, 2, (count, len(change)), dtype=np.int8).astype(np.float64)
        changed = coins @ change
        difference = np.abs(scores(total + changed) - scores(other - changed))
        as_large += (difference >= least).sum(axis=0)
    return as_large / (trials + 1)


def paired_bootstrap_bleu4(
    candidates: Sequence[Tokens],
    baseline: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
    seed: int = 0,
    samples: int = SAMPLES,
) -> dict[str, float]:
    """Return how much higher the candidates' corpus BLEU-4 is than the baseline's.

    Args:
        candidates: one tokenised caption for each image.
        baseline: another system's captions of the same images.
        references: for each image, one or more tokenised captions.
        seed: of the draws; the same seed gives the same interval.
        samples: how many draws.

    Returns:
        `difference` on all images, and `low` and `high`, the interval's ends, in BLEU points
        (scale 0 to 100; negative where the candidates are worse).

    Raises:
        EdgecapError: as for `corpus_bleu`.
        OptionError: `samples` is less than 1.
    """
    for captions in (candidates, baseline):
        check_candidates(captions, len(references))
    check_references(references)
    bleu = CorpusBleu(references)
    ours, theirs = table_of(bleu, candidates), table_of(bleu, baseline)
    low, high = paired_bootstrap(ours, theirs, bleu.scores, samples, seed)[:, 3]
    difference = (bleu.scores(ours.sum(axis=0)) - bleu.scores(theirs.sum(axis=0)))[3]
    return {"difference": float(difference), "low": float(low), "high": float(high)}


def _drawn_sums(table: Floats, samples: int, seed: int) -> Floats:
    """Sum the rows of drawn images, float64 [samples, columns].

    How often each image is in each draw is a matrix, and its product with the table is the sums.
    """
    if samples < 1:
        raise OptionError(f"The number of bootstrap samples is {samples}; use 1 or more.")
    images = len(table)
    dice = np.random.default_rng(seed)
    share = np.full(images, 1 / images)
    sums = [
        dice.multinomial(images, share, size=min(_TOGETHER, samples - start)).astype(np.float64)
        @ table
        for start in range(0, samples, _TOGETHER)
    ]
    return np.concatenate(sums)


def _interval(drawn: Floats) -> Floats:
    ends: Floats = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    return ends
