"""The report as one page: no network, no script from elsewhere, readable without any script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from edgecap.html.markup import Child, Node, node
from edgecap.html.page import html_document
from edgecap_bench.groups import groups_of
from edgecap_bench.html import bars
from edgecap_bench.html.drawing import figure
from edgecap_bench.html.facts import head_facts, repeat_facts, warnings_of
from edgecap_bench.html.quality_plot import quality_plot
from edgecap_bench.html.tables import one_table, quality_table, ratio_table
from edgecap_bench.html.words_plot import words_plot

__all__ = ["html_page"]


def html_page(report: Mapping[str, Any]) -> str:
    """Give the page.

    report: one that `schema.check_report` lets pass. What it doesn't hold is left out: a plot
    without a single point, a column without a figure.
    """
    title = f"{report['captioner']}: quality and cost of every target"
    return html_document(
        title,
        node("header", node("h1", report["captioner"]), _subtitle(), *warnings_of(report)),
        node("main", head_facts(report), *filter(None, _sections(report))),
        style=_beside("style.css"),
        script=_beside("sorting.js"),
    )


def _subtitle() -> Node:
    return node("p", "edgecap benchmark: quality and cost of every target", class_="subtitle")


def _sections(report: Mapping[str, Any]) -> Iterable[Node | None]:
    groups = groups_of(report)
    yield _section("The one table", one_table(report), _reading())
    yield _plots(
        "BLEU-4 against milliseconds",
        "Every target and search: hollow is greedy, filled a beam. The dashed line is the Pareto "
        "front: no other target is both faster and better than those on it.",
        map(quality_plot, groups),
    )
    yield _plots(
        "Time by stage",
        "What a greedy caption's time is made of, medians of each part.",
        map(bars.stage_bars, groups),
        _legend(
            ("prepare", "prepare: file to pixels"),
            ("encode", "encode: pixels to features"),
            ("words", "words: all decoder steps"),
        ),
        note="A bar that would leave the others no room is cut (//) and shows its parts' shares.",
    )
    yield _plots(
        "Latency distribution",
        "From file to words on a logarithmic axis, milliseconds: the line is the median, the box "
        "reaches to the 90th percentile, its tail to the 99th, the dot is the slowest; the mark "
        "below is the median's 95 % interval.",
        map(bars.distribution, groups),
    )
    yield _plots(
        "What a word costs against the caption's length",
        "Greedy captions by their number of decoder steps: a step from the word before costs the "
        "same in any caption (hollow), a run over the whole prefix grows with it (filled, dashed).",
        map(words_plot, groups),
    )
    yield _plots(
        "File size",
        "What a device needs of files, each target once.",
        [bars.size_bars(groups)],
    )
    yield _plots(
        "Memory",
        "Peak resident memory of the process that captions.",
        map(bars.memory_bars, groups),
    )
    ratios = [table for table in map(ratio_table, groups) if table is not None]
    if ratios:
        note = "Ratios of caption times, photograph by photograph, on those that both captioned."
        yield _section("Ratios", node("p", note), *ratios)
    quality = quality_table(report)
    if quality is not None:
        yield _section("Quality in full", quality, _quality_reading())
    yield _section("How to repeat it", *repeat_facts(report))


def _section(title: str, *children: Child) -> Node:
    return node("section", node("h2", title), *children)


def _plots(
    title: str,
    caption: str,
    plots: Iterable[Node | None],
    legend: Child = None,
    note: str | None = None,
) -> Node | None:
    """Make a section of a plot for each group; None if none has anything to show."""
    drawn = [plot for plot in plots if plot is not None]
    if not drawn:
        return None
    return _section(title, figure(caption, legend, *drawn, note=note))


def _legend(*parts: tuple[str, str]) -> Node:
    return node("ul", *(node("li", said, class_=name) for name, said in parts), class_="legend")


def _reading() -> Node:
    lines = (
        "Rows are compared within a block: one device, one number of threads.",
        "Best of a column: bold with a line below. Rows of bare parts (the interpreter on the same "
        "file, no edgecap in it) are the floor and don't compete.",
        "~ and noisy: the median's 95 % interval is wider than 5 % of it. Disturbed: other work "
        "ran beside it. Prefix: each word takes a run over all words before it.",
        "Press a column's name to sort by it.",
    )
    return node("ul", *(node("li", line) for line in lines), class_="note")


def _quality_reading() -> Node:
    return node(
        "p",
        "BLEU-1 to 4 are corpus BLEU; sentence-mean BLEU-1 is the mean of each caption's own, "
        "which notebooks print. METEOR counts exact and stem matches only. CIDEr-D takes its "
        "document frequencies from the scored images' own references. The last line of a cell is "
        "the difference to the target named under “same as reference”: paired bootstrap, p by "
        "approximate randomisation.",
        class_="note",
    )


def _beside(name: str) -> str:
    return resources.files("edgecap_bench.html").joinpath(name).read_text("utf-8")
