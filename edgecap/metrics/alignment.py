"""Which word of a caption stands for which word of a reference, in as few chunks as possible.

Denkowski, Lavie: "Meteor Universal", WMT 2014, section 2.1: of all one-to-one alignments take those
that cover most words, equal words before equal stems; of these one with fewest chunks. A chunk is
a run of matched words that stand side by side in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_BEAM = 500
"""Most partial alignments carried from word to word. Captions have a few (no pair of Flickr8k's dev
captions lost a chunk to this limit); only one that says a few words again and again has more, and
then the number of chunks may not be the least."""

_APART = -2
"""Place of the last match where the next word can't go on with it."""

Pair = tuple[int, int]
_Path = tuple[Pair, "_Path"] | None
"""Pairs from the last to the first: paths share their beginnings."""
_Score = tuple[int, int]
"""Pairs of equal words, and minus the number of chunks: the higher the better."""


def align(
    said: Sequence[str],
    said_stems: Sequence[str],
    reference: Sequence[str],
    reference_stems: Sequence[str],
) -> tuple[list[Pair], int]:
    """Align two captions.

    Args:
        said: words of a caption.
        said_stems: the stem of each; equal words have equal stems.
        reference: words of a reference.
        reference_stems: the stem of each.

    Returns:
        Pairs of places (in the caption, in the reference), in the caption's order, and the number
        of chunks.
    """
    places: dict[str, list[int]] = {}
    for place, stem in enumerate(reference_stems):
        places.setdefault(stem, []).append(place)
    # A stem's words can all be paired with each other, so as many pairs are there as the side with
    # fewer words allows, and the caption's words beyond that are left over.
    left_over = {
        stem: count - len(places.get(stem, ())) for stem, count in Counter(said_stems).items()
    }
    # Partial alignments that differ neither in the reference's words that are taken (as bits) nor
    # in the place of the last match go on alike: the best one is kept.
    beam: dict[tuple[int, int], tuple[_Score, _Path]] = {(0, _APART): ((0, 0), None)}
    passed: Counter[str] = Counter()
    for place, (word, stem) in enumerate(zip(said, said_stems, strict=True)):
        choices = places.get(stem, [])
        mask = sum(1 << choice for choice in choices)
        grown: dict[tuple[int, int], tuple[_Score, _Path]] = {}
        for (taken, last), (score, path) in beam.items():
            unpaired = passed[stem] - (taken & mask).bit_count()
            if unpaired < left_over[stem]:
                _keep(grown, (taken, _APART), score, path)
            for choice in choices:
                if not taken >> choice & 1:
                    better = (
                        score[0] + (reference[choice] == word),
                        score[1] - (choice != last + 1),
                    )
                    _keep(grown, (taken | 1 << choice, choice), better, ((place, choice), path))
        passed[stem] += 1
        beam = grown if len(grown) <= _BEAM else _best_of(grown)
    (_, chunks), path = max(beam.values(), key=lambda found: found[0])
    pairs: list[Pair] = []
    while path is not None:
        pair, path = path
        pairs.append(pair)
    return pairs[::-1], -chunks


def _keep(
    beam: dict[tuple[int, int], tuple[_Score, _Path]],
    state: tuple[int, int],
    score: _Score,
    path: _Path,
) -> None:
    known = beam.get(state)
    if known is None or known[0] < score:
        beam[state] = score, path


def _best_of(
    beam: dict[tuple[int, int], tuple[_Score, _Path]],
) -> dict[tuple[int, int], tuple[_Score, _Path]]:
    ranked = sorted(beam.items(), key=lambda item: item[1][0], reverse=True)
    return dict(ranked[:_BEAM])
