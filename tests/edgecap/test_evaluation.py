"""Scores, differences and faults as reports hold them."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from edgecap.evaluation import (
    Evaluation,
    caption_faults,
    compare_captions,
    judged_faults,
    score_captions,
)
from edgecap.metrics import corpus_bleu
from edgecap_runtime.errors import EdgecapError

METRICS = ("corpus_bleu", "rouge_l", "meteor_exact_stem", "cider_d", "sentence_mean_bleu1")


def words(*captions: str) -> list[list[str]]:
    return [caption.split() for caption in captions]


REFERENCES = [
    words("a dog runs on the grass", "a brown dog runs"),
    words("two men sit on a bench", "men on a bench"),
    words("a girl jumps in the snow", "the girl can not stop"),
]
GOOD = words("a dog runs on grass", "two men on a bench", "a girl cannot stop in snow")
POOR = words("a man in a shirt", "a man in a shirt", "a man in a shirt")


def test_scores_hold_every_metric_with_its_interval() -> None:
    scores = score_captions(GOOD, REFERENCES)
    assert len(scores["corpus_bleu"]) == len(scores["intervals"]["corpus_bleu"]) == 4
    for key in METRICS[1:]:
        low, high = scores["intervals"][key]
        assert low <= scores[key] <= high
    assert scores["sentence_mean_bleu1"] <= 1 < scores["rouge_l"] <= 100
    assert scores["document_frequencies"] == "references of the 3 images scored"
    assert (scores["images"], scores["different_captions"], scores["mean_words"]) == (3, 3, 5.333)
    assert json.loads(json.dumps(scores)) == scores


def test_both_sides_are_tokenised_as_coco_does() -> None:
    apart = [*GOOD[:2], ["a", "girl", "can", "not", "stop", "in", "snow"]]
    assert score_captions(GOOD, REFERENCES)["corpus_bleu"] == pytest.approx(
        corpus_bleu(apart, REFERENCES), abs=1e-3
    )


def test_difference_is_that_of_the_scores() -> None:
    found = compare_captions(GOOD, POOR, REFERENCES)
    evaluation = Evaluation(REFERENCES)
    good, poor = evaluation.scores(GOOD), evaluation.scores(POOR)
    for key in METRICS[1:]:
        assert found[key]["difference"] == pytest.approx(good[key] - poor[key], abs=2e-3)
        assert found[key]["low"] <= found[key]["difference"] <= found[key]["high"]
        # Of eight ways to deal three pairs of captions out, two are as far apart as this one.
        assert found[key]["p"] == pytest.approx(1 / 4, abs=0.02)
    assert [each["difference"] for each in found["corpus_bleu"]] == pytest.approx(
        np.subtract(good["corpus_bleu"], poor["corpus_bleu"]), abs=2e-3
    )


def test_faults_worked_by_hand() -> None:
    captions = words("a dog on a", "a man man in the snow", "a a <unk>", "a dog on a", "dogs play")
    faults = caption_faults([*captions, []], max_words=6, unknown="<unk>")
    assert faults == {
        "captions": 6,
        "different_captions": 5,
        "different": 5 / 6,
        "mean_words": round(19 / 6, 3),
        "end_open": 2 / 6,
        "double_a_word": 2 / 6,
        "at_the_limit": 1 / 6,
        "unknown_word": 1 / 6,
    }
    assert caption_faults(captions)["at_the_limit"] is None
    assert caption_faults(captions)["unknown_word"] == 0
    assert caption_faults(words("children play outside"))["end_open"] == 0


def test_captions_are_held_to_the_limits_of_faults() -> None:
    said = [["dog", str(place)] for place in range(200)] * 5
    rules = {"max_words": 5, "unknown": "<unk>"}
    poor = judged_faults(said, rules)["limits"]
    assert poor["different"] == {"value": 0.2, "at_least": 0.4, "holds": False}
    said = [["dog", str(place)] for place in range(400)] + [["dog", "0"]] * 600
    assert all(kept["holds"] for kept in judged_faults(said, rules)["limits"].values())
    for caption, key, allowed in (
        ("a dog on", "end_open", 10),
        ("dog dog runs", "double_a_word", 5),
        ("a dog runs on grass", "at_the_limit", 5),
        ("a <unk>", "unknown_word", 0),
    ):
        for count in (allowed, allowed + 1):
            limits = judged_faults([*said[: 1000 - count], *words(*[caption] * count)], rules)[
                "limits"
            ]
            assert limits[key]["value"] == count / 1000
            assert limits[key]["at_most"] == allowed / 1000
            assert limits[key]["holds"] == (count == allowed)
    unknown = judged_faults(said, {"max_words": None, "unknown": None})["limits"]["at_the_limit"]
    assert unknown == {"value": None, "at_most": 0.005, "holds": None}


def test_a_thousand_images_take_seconds() -> None:
    dice = np.random.default_rng(1)
    vocabulary = [f"word{place}" for place in range(300)] + ["a"] * 60 + ["on", "the"] * 20

    def caption() -> list[str]:
        return [str(word) for word in dice.choice(vocabulary, 11)]

    references = [[caption() for _ in range(5)] for _ in range(1000)]
    candidates = [caption() for _ in range(1000)]
    baseline = [of_image[0][:8] for of_image in references]
    started = time.process_time()
    evaluation = Evaluation(references)
    evaluation.scores(candidates)
    evaluation.difference(candidates, baseline)
    # 4 seconds on two cores; process time, so that other work does not count.
    assert time.process_time() - started < 20


def test_bad_input() -> None:
    with pytest.raises(EdgecapError, match="no caption"):
        caption_faults([])
    with pytest.raises(EdgecapError, match="is the string 'a dog'"):
        caption_faults(["a dog"])
    with pytest.raises(EdgecapError, match="is the string 'a dog'"):
        score_captions(["a dog"], [words("a dog")])
    with pytest.raises(EdgecapError, match="is the string 'a dog'"):
        score_captions(words("a dog"), [["a dog"]])
    with pytest.raises(EdgecapError, match=r"number of captions \(1\) .* \(3\)"):
        compare_captions(GOOD[:1], POOR, REFERENCES)


@pytest.mark.shared
def test_agrees_with_the_coco_caption_evaluation(coco_oracle: Any) -> None:
    found = score_captions(coco_oracle.candidates, coco_oracle.references)
    known = coco_oracle.scores
    assert [score / 100 for score in found["corpus_bleu"]] == pytest.approx(known["Bleu"], abs=1e-4)
    assert found["rouge_l"] / 100 == pytest.approx(known["Rouge"], abs=1e-4)
    assert found["cider_d"] == pytest.approx(known["Cider"], abs=1e-4)
