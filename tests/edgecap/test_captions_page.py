"""The page of captions side by side, from captions worked by hand."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap.evaluation import Evaluated, Evaluation, judged_faults
from edgecap.html.captions import captions_page, differing_words

RULES = {"max_words": 20, "unknown": None}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    dice = np.random.default_rng(3)
    paths = [tmp_path / f"{place}.png" for place in range(3)]
    for path in paths:
        Image.fromarray(dice.integers(0, 256, (500, 750, 3), np.uint8)).save(path)
    return paths


REFERENCES = [
    [["a", "dog", "runs"], ["the", "dog", "runs", "fast"]],
    [["two", "men", "sit"], ["men", "on", "a", "<bench>"]],
    [["a", "girl", "jumps"], ["the", "girl", "jumps", "high"]],
]


def words(*captions: str) -> list[list[str]]:
    return [caption.split() for caption in captions]


def evaluated(name: str, **by_search: list[list[str]]) -> Evaluated:
    evaluation = Evaluation(REFERENCES)
    said = {search.replace("_", " "): captions for search, captions in by_search.items()}
    scores = {
        search: {**evaluation.scores(captions), "faults": judged_faults(captions, RULES)}
        for search, captions in said.items()
    }
    return Evaluated(name, said, scores)


ONE = words("a cat runs", "two men sit", "a girl jumps")
OTHER = words("a cat runs", "two men stand now", "a girl jumps")


def articles(page: str) -> list[str]:
    return re.findall(r"<article .*?</article>", page, re.DOTALL)


def marked(article: str) -> list[str]:
    return re.findall(r"<mark>(.*?)</mark>", article)


def page_of(systems: Sequence[Evaluated], photos: Sequence[Path]) -> str:
    return captions_page("A title & more", systems, photos, REFERENCES)


def test_differing_words_are_marked_and_the_best_come_first(photos: list[Path]) -> None:
    page = page_of([evaluated("a.tflite", greedy=ONE), evaluated("b.tflite", greedy=OTHER)], photos)
    assert "<title>A title &amp; more</title>" in page
    shown = articles(page)
    ranks = Evaluation(REFERENCES).consensus(ONE)
    order = sorted(range(3), key=lambda place: -ranks[place])
    names = [re.findall(r'alt="(\d).png"', article)[0] for article in shown]
    assert [int(name) for name in names] == order
    by_name = dict(zip(names, shown, strict=True))
    assert marked(by_name["1"]) == ["sit", "stand", "now"]
    assert 'class="differs"' in by_name["1"]
    for same in ("0", "2"):
        assert marked(by_name[same]) == []
        assert 'class="same"' in by_name[same]
        assert "greedy: all the same" in by_name[same]
    assert "only where they differ (1)" in page
    assert f"CIDEr-D {ranks[2]:.2f}" in by_name["2"]
    # What the data say is text, not elements.
    assert "men on a &lt;bench&gt;" in by_name["1"]
    assert page.count("<td><span>") > 8


def test_one_captioner_is_compared_with_its_own_other_search(photos: list[Path]) -> None:
    page = page_of([evaluated("a.tflite", greedy=OTHER, beam_3=ONE)], photos)
    assert "sorted by the CIDEr-D of a.tflite, beam 3" in page
    by_differing = {"differs": 0, "same": 0}
    for article in articles(page):
        kind = re.findall(r'<article class="(\w+)"', article)[0]
        by_differing[kind] += 1
        if kind == "differs":
            assert marked(article) == ["stand", "now", "sit"]
    assert by_differing == {"differs": 1, "same": 2}


def test_photographs_are_small_and_in_the_page(photos: list[Path]) -> None:
    page = page_of([evaluated("a.tflite", greedy=ONE)], photos)
    held = re.findall(r'src="data:image/jpeg;base64,([^"]+)" width="(\d+)" height="(\d+)"', page)
    assert len(held) == 3
    for text, width, height in held:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert image.size == (int(width), int(height)) == (360, 240)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "default-src 'none'" in page


def test_of_many_photographs_a_hundred_are_shown_evenly(photos: list[Path]) -> None:
    evaluation = Evaluation([REFERENCES[0]] * 250)
    said = [["a", "dog", str(place)] for place in range(250)]
    scores = {"greedy": {**evaluation.scores(said), "faults": judged_faults(said, RULES)}}
    system = Evaluated("a", {"greedy": said}, scores)
    done: list[int] = []
    page = captions_page(
        "t", [system], [photos[0]] * 250, [REFERENCES[0]] * 250, lambda at, _: done.append(at)
    )
    places = sorted(int(place) for place in re.findall(r"<p>a dog (\d+)</p>", page))
    assert places == [turn * 250 // 100 for turn in range(100)]
    assert done == list(range(1, 101))


def test_words_differ_where_they_stand() -> None:
    def differing(one: str, other: str) -> tuple[list[str], list[str]]:
        mine, theirs = one.split(), other.split()
        first, second = differing_words(mine, theirs)
        return [mine[place] for place in sorted(first)], [theirs[place] for place in sorted(second)]

    assert differing("a dog runs", "a dog runs") == ([], [])
    assert differing("a dog runs", "a big dog runs") == ([], ["big"])
    assert differing("a red dog", "a red cat") == (["dog"], ["cat"])
    assert differing("", "a") == ([], ["a"])


def test_each_captions_consensus_has_the_mean_of_the_score() -> None:
    evaluation = Evaluation(REFERENCES)
    each = evaluation.consensus(OTHER)
    assert sum(each) / 3 == pytest.approx(evaluation.scores(OTHER)["cider_d"], abs=1e-5)
