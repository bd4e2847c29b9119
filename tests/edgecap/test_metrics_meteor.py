"""METEOR (exact+stem) by hand, its alignment by brute force, and against METEOR 1.5 itself."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecap.metrics import meteor_exact_stem
from edgecap.metrics.alignment import Pair, align

STEMS = {"dog": "dog", "dogs": "dog", "runs": "run", "run": "run", "a": "a"}
CAPTIONS = st.lists(st.sampled_from(sorted(STEMS)), max_size=6)


def aligned(said: list[str], reference: list[str]) -> tuple[list[Pair], int]:
    stems = [[STEMS.get(word, word) for word in words] for words in (said, reference)]
    return align(said, stems[0], reference, stems[1])


def chunks_of(pairs: list[Pair]) -> int:
    known = set(pairs)
    return sum((mine - 1, theirs - 1) not in known for mine, theirs in pairs)


def test_stems_worked_by_hand() -> None:
    # A content word weighs .75, a function word .25, so the lengths are 1.75 and 2.5. dog/dogs and
    # runs/run match by stem, .6 each: .9 of either side. One chunk of two matches.
    score = meteor_exact_stem([["a", "dog", "runs"]], [[["the", "dogs", "run", "fast"]]])
    mean = 1 / (0.15 * 1.75 / 0.9 + 0.85 * 2.5 / 0.9)
    assert score == pytest.approx(100 * mean * (1 - 0.6 * (1 / 2) ** 0.2))


def test_scores_are_of_sums_worked_by_hand() -> None:
    # First image: two content words, 1.5, all in order: no chunk is counted. Second: "cat", .75 of
    # three content words, 2.25, and of "the cat", 1; one chunk. Three matched words in all.
    score = meteor_exact_stem(
        [["dog", "runs"], ["cat", "here", "now"]], [[["dog", "runs"]], [["the", "cat"]]]
    )
    precision, recall = 2.25 / (1.5 + 2.25), 2.25 / (1.5 + 1)
    mean = 1 / (0.15 / precision + 0.85 / recall)
    assert score == pytest.approx(100 * mean * (1 - 0.6 * (1 / 3) ** 0.2))


def test_the_best_reference_counts() -> None:
    said = ["a", "dog", "runs"]
    references = [["two", "cats", "sleep"], said, ["a", "dog"]]
    assert meteor_exact_stem([said], [references]) == pytest.approx(100)


def test_order_matters_by_chunks() -> None:
    # All four words match: in two chunks, in four, and in one, which counts as none.
    reference = ["red", "dogs", "chase", "balls"]
    for said, chunks in (("chase balls red dogs", 2), ("balls chase dogs red", 4)):
        expected = 100 * (1 - 0.6 * (chunks / 4) ** 0.2)
        assert meteor_exact_stem([said.split()], [[reference]]) == pytest.approx(expected)
    assert meteor_exact_stem([reference], [[reference]]) == pytest.approx(100)


def test_nothing_common_and_nothing_said() -> None:
    assert meteor_exact_stem([["x"], []], [[["dog"]], [["dog"]]]) == 0
    assert meteor_exact_stem([["x"]], [[[]]]) == 0


def test_fewest_chunks_are_found() -> None:
    # From the left, "a" would take the first "a" and tear both phrases apart: four chunks.
    pairs, chunks = aligned(["a", "cat", "a", "dog"], ["a", "dog", "a", "cat"])
    assert (pairs, chunks) == ([(0, 2), (1, 3), (2, 0), (3, 1)], 2)


def test_equal_words_come_before_equal_stems() -> None:
    # dog-dogs and dogs-dog would be one chunk, but two pairs of equal words go first.
    pairs, chunks = aligned(["dog", "dogs"], ["dogs", "dog"])
    assert (pairs, chunks) == ([(0, 1), (1, 0)], 2)


@given(CAPTIONS, CAPTIONS)
def test_alignment_equals_brute_force(said: list[str], reference: list[str]) -> None:
    best = (0, 0, 0)
    for size in range(1, min(len(said), len(reference)) + 1):
        for mine in combinations(range(len(said)), size):
            for theirs in permutations(range(len(reference)), size):
                pairs = list(zip(mine, theirs, strict=True))
                if all(STEMS[said[one]] == STEMS[reference[other]] for one, other in pairs):
                    exact = sum(said[one] == reference[other] for one, other in pairs)
                    best = max(best, (size, exact, -chunks_of(pairs)))
    pairs, chunks = aligned(said, reference)
    exact = sum(said[one] == reference[other] for one, other in pairs)
    assert (len(pairs), exact, -chunks) == best
    assert chunks == chunks_of(pairs)
    assert all(STEMS[said[one]] == STEMS[reference[other]] for one, other in pairs)


def test_a_caption_that_repeats_itself_takes_no_time_to_speak_of() -> None:
    pairs, chunks = aligned(["dog", "a"] * 20, ["a", "dog"] * 20)
    assert len(pairs) == 40
    assert chunks >= 2


def test_agrees_with_meteor_itself() -> None:
    # Segment scores of METEOR 1.5's program with our function words, `-m "exact stem" -w "1.0 0.6"
    # -p ".85 .2 .6 .75"`.
    cases = [
        (
            "a man in a red shirt is riding a bike",
            ["a cyclist in red rides down a hill", "the man rides his bike in the park"],
            0.21204819277108436,
        ),
        (
            "two dogs are running through the snow",
            ["a dog runs in snow", "dogs run and play through deep snow"],
            0.23101604278074866,
        ),
        (
            "the woman is standing on the beach with a dog on the sand",
            ["on the beach a woman stands with her dog", "a woman and the dog on the sand"],
            0.3925680069620682,
        ),
        ("a girl is jumping", ["children jump happily on a trampoline"], 0.08549618320610687),
    ]
    said = [caption.split() for caption, _, _ in cases]
    references = [[caption.split() for caption in of_image] for _, of_image, _ in cases]
    for caption, of_image, (*_, score) in zip(said, references, cases, strict=True):
        assert meteor_exact_stem([caption], [of_image]) == pytest.approx(100 * score, abs=1e-9)
    together = 0.23480731810727745
    assert meteor_exact_stem(said, references) == pytest.approx(100 * together, abs=1e-9)


@pytest.mark.shared
def test_agrees_with_meteor_itself_on_the_coco_oracle(coco_oracle: Any) -> None:
    score = meteor_exact_stem(coco_oracle.candidates, coco_oracle.references) / 100
    assert score == pytest.approx(0.19169179407927068, abs=1e-9)
    assert score < coco_oracle.scores["Meteor"]  # which matches synonyms and paraphrases too
