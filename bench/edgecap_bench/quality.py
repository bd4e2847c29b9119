"""What the targets' captions are worth: scores with their intervals, and against the float ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecap_bench.measure import Row

__all__ = ["Quality", "score_rows"]

Quality = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Scores by label and beam."""

References = Sequence[Sequence[Sequence[str]]]

_KEYS = {
    "corpus_bleu": ("bleu1", "bleu2", "bleu3", "bleu4"),
    "rouge_l": ("rouge_l",),
    "meteor_exact_stem": ("meteor_exact_stem",),
    "cider_d": ("cider_d",),
    "sentence_mean_bleu1": ("sentence_mean_bleu1",),
}
"""Names of an evaluation's figures in a report, which has each by itself."""


def score_rows(rows: Sequence[Row], references: References) -> Quality:
    """Score all captions that were made.

    Each search is compared with the same search of the captioner in Keras form, where that was
    measured, else of the first target without quantization, else of the first target.
    """
    said = {row.plan.label: row.captions for row in rows if row.captions}
    if not said:
        return {}
    from edgecap.evaluation import Evaluation

    evaluation = Evaluation(references)
    reference = _reference([row for row in rows if row.captions])
    scores: dict[str, dict[int, dict[str, Any]]] = {}
    for label, captions in said.items():
        for beam, words in captions.items():
            found = evaluation.scores(words)
            base = said[reference].get(beam)
            against = None
            if base is not None and label != reference:
                against = {
                    "target": reference,
                    **_each(evaluation.difference(words, base)),
                }
            lows_and_highs = _each(found["intervals"])
            scores.setdefault(label, {})[beam] = {
                "images": found["images"],
                **{
                    key: {"value": value, "low": ends[0], "high": ends[1]}
                    for (key, value), ends in zip(
                        _each(found).items(),
                        lows_and_highs.values(),
                        strict=True,
                    )
                },
                "token_exact": None if base is None else _same(words, base),
                "words_mean": found["mean_words"],
                "distinct": found["different_captions"],
                "against": against,
            }
    return scores


def _reference(rows: Sequence[Row]) -> str:
    """Name the target that the others are compared with."""
    in_keras = [row for row in rows if row.plan.baseline]
    plain = [row for row in rows if row.plan.recipe == "float32"]
    return (in_keras or plain or list(rows))[0].plan.label


def _each(found: Mapping[str, Any]) -> dict[str, Any]:
    """Give figures one by one: those of BLEU stand in a list."""
    figures: dict[str, Any] = {}
    for key, names in _KEYS.items():
        values = found[key] if len(names) > 1 else [found[key]]
        figures.update(zip(names, values, strict=True))
    return figures


def _same(words: Sequence[Sequence[str]], base: Sequence[Sequence[str]]) -> float:
    same = sum(list(ours) == list(theirs) for ours, theirs in zip(words, base, strict=True))
    return same / len(words)
