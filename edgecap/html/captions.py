"""What captioners say of photographs, side by side, as one page to look at."""

from __future__ import annotations

import base64
import difflib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgecap.evaluation import Evaluated, Evaluation
from edgecap.html.markup import Child, Node, node
from edgecap.html.page import html_document
from edgecap.html.scores import score_tables, scores_reading
from edgecap_runtime.preparation import open_photo

__all__ = ["captions_page", "differing_words"]

MOST_PHOTOS = 100
"""Photographs on a page, spread evenly over those that were captioned."""

_LONGEST_SIDE = 360
_QUALITY = 72

Words = Sequence[str]


@dataclass(frozen=True)
class _Line:
    """One caption of a photograph."""

    system: str
    """Who says it."""
    search: str
    """By which search."""
    words: Words
    """The caption."""
    score: float
    """Its CIDEr-D, 0 to 10."""
    marked: frozenset[int]
    """Places of the words that differ from what it is compared with."""


@dataclass(frozen=True)
class _Entry:
    """A photograph on the page."""

    path: Path
    """The image file."""
    references: Sequence[Words]
    """Its captions in the data."""
    lines: Sequence[_Line]
    """What is said of it."""
    rank: float
    """What it is sorted by: the CIDEr-D of the first captioner's caption by its own search."""

    @property
    def differs(self) -> bool:
        """Whether captions that are compared are not the same."""
        return any(line.marked for line in self.lines)


def captions_page(
    title: str,
    evaluated: Sequence[Evaluated],
    photos: Sequence[Path],
    references: Sequence[Sequence[Words]],
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Give the page: scores, then up to 100 photographs with what is said of each.

    Captions are compared with the first captioner's by the same search; those of one captioner
    alone with its first search.

    Args:
        title: of the page.
        evaluated: the captioners, by the same searches where they have them.
        photos: all photographs that were captioned.
        references: for each its captions in the data.
        progress: called with (photographs done, photographs in all).

    Raises:
        ImageError: a photograph can't be read any more.
    """
    entries = sorted(_entries(evaluated, photos, references), key=lambda entry: -entry.rank)
    shown = []
    for place, entry in enumerate(entries):
        shown.append(_article(entry))
        if progress:
            progress(place + 1, len(entries))
    differing = sum(entry.differs for entry in entries)
    first = evaluated[0]
    return html_document(
        title,
        node("header", node("h1", title), node("p", "edgecap evaluate", class_="subtitle")),
        node(
            "main",
            node(
                "section",
                node("h2", "Scores"),
                *score_tables(evaluated),
                scores_reading(len(photos)),
            ),
            node(
                "section",
                node("h2", f"{len(entries)} of {len(photos)} photographs"),
                node(
                    "p",
                    f"Spread evenly over the split; sorted by the CIDEr-D of {first.name}, "
                    f"{list(first.words)[-1]}. Words that differ from "
                    f"{_compared_with(evaluated)} are marked, there and here.",
                    class_="note",
                ),
                node("input", type="checkbox", id="differ"),
                node("label", f"only where they differ ({differing})", for_="differ"),
                node("div", *shown, id="photos"),
            ),
        ),
        style=_beside("captions.css"),
        script=_beside("captions.js"),
    )


def differing_words(mine: Words, theirs: Words) -> tuple[frozenset[int], frozenset[int]]:
    """Give the places of the words of each caption that the other does not have there."""
    mine_only: set[int] = set()
    theirs_only: set[int] = set()
    matcher = difflib.SequenceMatcher(None, list(mine), list(theirs), autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            mine_only.update(range(start, end))
            theirs_only.update(range(other_start, other_end))
    return frozenset(mine_only), frozenset(theirs_only)


def _compared_with(evaluated: Sequence[Evaluated]) -> str:
    first = evaluated[0]
    if len(evaluated) > 1:
        return f"{first.name}'s by the same search"
    return f"those by {next(iter(first.words))}"


def _entries(
    evaluated: Sequence[Evaluated],
    photos: Sequence[Path],
    references: Sequence[Sequence[Words]],
) -> Iterable[_Entry]:
    evaluation = Evaluation(references)
    scores = {
        (place, search): evaluation.consensus(words)
        for place, each in enumerate(evaluated)
        for search, words in each.words.items()
    }
    own = (0, list(evaluated[0].words)[-1])
    count = min(len(photos), MOST_PHOTOS)
    for place in (turn * len(photos) // count for turn in range(count)):
        said = {key: (evaluated[key[0]], evaluated[key[0]].words[key[1]][place]) for key in scores}
        marks = _marks({key: words for key, (_, words) in said.items()}, len(evaluated) > 1)
        lines = [
            _Line(who.name, key[1], words, scores[key][place], marks[key])
            for key, (who, words) in said.items()
        ]
        yield _Entry(photos[place], references[place], lines, scores[own][place])


_Key = tuple[int, str]
"""A captioner's place, and a search."""


def _marks(said: Mapping[_Key, Words], several: bool) -> dict[_Key, frozenset[int]]:
    """Mark differing words of each caption, and of the one that it is compared with."""
    marks: dict[_Key, frozenset[int]] = dict.fromkeys(said, frozenset())
    for key, words in said.items():
        base = (0, key[1]) if several else next(iter(said))
        if base not in said:
            continue
        theirs, mine = differing_words(said[base], words)
        if len(theirs) + len(mine):
            # A caption that only lacks words has nothing to mark: the other one has.
            marks[base] |= theirs
            marks[key] |= mine
    return marks


def _article(entry: _Entry) -> Node:
    picture, width, height = _small(entry.path)
    return node(
        "article",
        node(
            "img",
            src=picture,
            width=width,
            height=height,
            alt=entry.path.name,
            title=entry.path.name,
            loading="lazy",
        ),
        node(
            "div",
            _said(entry.lines),
            node(
                "details",
                node("summary", f"{len(entry.references)} reference captions"),
                node("ul", *(node("li", " ".join(words)) for words in entry.references)),
                open=True,
            ),
        ),
        class_="differs" if entry.differs else "same",
    )


def _said(lines: Sequence[_Line]) -> Node:
    """Give the captions: a row for each search with the captioners side by side; or, of one
    captioner, its searches. Where all of a row say the same, it is one."""
    systems = {line.system for line in lines}
    searches = list(dict.fromkeys(line.search for line in lines))
    rows = [lines]
    if len(systems) > 1:
        rows = [[line for line in lines if line.search == search] for search in searches]
    cells = []
    for row in rows:
        if len(row) > 1 and len({tuple(line.words) for line in row}) == 1:
            who = row[0].search if len(systems) > 1 else ", ".join(searches)
            cells.append(_cell(f"{who}: all the same", row[0], class_="all"))
        else:
            cells += [_cell(f"{line.system}, {line.search}", line) for line in row]
    columns = max(map(len, rows))
    return node("div", *cells, class_="said", style=f"--columns: {columns}")


def _cell(who: str, line: _Line, class_: str | None = None) -> Node:
    return node(
        "div",
        node("small", who),
        node("p", *_words(line)),
        node("small", f"CIDEr-D {line.score:.2f}"),
        class_=class_,
    )


def _words(line: _Line) -> Iterable[Child]:
    for place, word in enumerate(line.words):
        if place:
            yield " "
        yield node("mark", word) if place in line.marked else word


def _small(path: Path) -> tuple[str, int, int]:
    """Give a small JPEG as an address that holds it all, its width and its height."""
    photo = open_photo(path)
    photo.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    held = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{held}", photo.width, photo.height


def _beside(name: str) -> str:
    return resources.files("edgecap.html").joinpath(name).read_text("utf-8")
