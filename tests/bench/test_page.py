from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from edgecap_bench.groups import groups_of
from edgecap_bench.html.bars import stage_end
from edgecap_bench.html.labels import Box, place_labels, spread
from edgecap_bench.html.page import html_page
from edgecap_bench.html.quality_plot import Shot, front_of, shots_of
from edgecap_bench.html.scales import linear_scale, log_scale
from edgecap_bench.html.words import family, number

from .reports import FULL, NO_GPU, PI, empty_row, full_report

_VOID = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"}


class _Reader(HTMLParser):
    """Checks that all elements are closed in their order, and collects what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def has(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _read(page: str) -> _Reader:
    assert page.startswith("<!DOCTYPE html>\n<html")
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def _nothing_known() -> dict[str, Any]:
    report = full_report(FULL[:2], threads=(1,), pi=False)
    report["rows"] = [empty_row(name, 1) for name in ("keras", "tflite:float32")]
    report["import_cost"] = {}
    report["machine"].update(cores=None, cores_allowed=None, memory_mb=None, commit=None, flags=[])
    report["disturbance"].update(load_before=None, load_after=None, steal_percent=None)
    report["settings"].update(calibration=None, environment={})
    return report


REPORTS = {
    "full": full_report(),
    "one row": full_report(FULL[2:3], threads=(2,), gpu=False, pi=False, scored=False),
    "one failed row": full_report([], pi=False),
    "nothing known": _nothing_known(),
    "no rows": full_report([], gpu=False, pi=False),
    "a Pi alone": full_report([], gpu=False),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_pages_are_well_formed_and_name_every_target(report: dict[str, Any]) -> None:
    reader = _read(html_page(report))
    # In the table's headings, where long names may break.
    names = "".join(reader.text)
    assert all(row["target"] in names for row in report["rows"])
    assert report["command"] in names
    assert len(reader.has("title")) >= 1


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_pages_need_nothing_from_elsewhere(report: dict[str, Any]) -> None:
    page = html_page(report)
    assert "://" not in page
    assert "@import" not in page
    assert "url(" not in page
    reader = _read(page)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert not {"src", "href", "xlink:href", "srcset"} & set(attributes)


def test_plots_name_every_point_and_say_in_words_what_they_show() -> None:
    report = REPORTS["full"]
    reader = _read(html_page(report))
    drawn = [each for each in reader.has("svg") if (each["class"] or "") in ("wide", "narrow")]
    assert drawn
    assert all(each["role"] == "img" and each["aria-label"] for each in drawn)
    assert all(
        each.get("aria-hidden") == "true" or "aria-label" in each for each in reader.has("svg")
    )
    said = "".join(reader.text)
    for shot in shots_of(groups_of(report)[0]):
        assert shot.title in said
    assert len(reader.has("caption")) == len(reader.has("table"))
    assert len(reader.has("figure")) == len(reader.has("figcaption")) == 6


def test_failed_noisy_and_disturbed_rows_are_marked() -> None:
    report = copy.deepcopy(REPORTS["full"])
    rows = report["rows"]
    noisy = {row["target"] for row in rows if any(t["noisy"] for t in row["caption_ms"].values())}
    assert noisy
    page = html_page(report)
    assert f"not measured: {NO_GPU}" in page
    assert page.count(">noisy</span>") >= len(noisy)
    assert ">disturbed</span>" in page
    assert "The run was not disturbed" in page
    report["disturbance"].update(disturbed=True, why=["the machine was busy before"])
    report["interrupted"] = True
    said = html_page(report)
    assert "to be doubted: the machine was busy before" in said
    assert "Interrupted:" in said


def test_the_best_of_each_block_is_marked() -> None:
    page = html_page(full_report(threads=(1,), gpu=False, pi=False))
    row = re.search(r'<tr><th scope="row" data-value="tflite:static-int8">.*?</tr>', page)
    assert row is not None
    assert 'class="best first"><strong>6.' in row[0]  # the fastest
    bare = re.findall(r'<tr class="bare">.*?</tr>', page)
    assert bare
    assert not any('class="best' in each for each in bare)


def test_what_a_report_says_is_escaped() -> None:
    report = full_report(FULL[2:3], threads=(1,))
    evil = '</script><script>alert("x")</script><b>&amp;'
    report["captioner"] = report["command"] = report["rows"][1]["target"] = evil
    report["rows"][0]["error"] = f"{evil}\x00\x1b[31m"
    report["settings"]["photos"] = [evil]
    page = html_page(report)
    reader = _read(page)
    assert len(reader.has("script")) == 1
    assert "alert(" in "".join(reader.text)
    assert "\x1b" not in page
    assert "\x00" not in page
    assert evil in "".join(reader.text)


def test_groups_are_comparable_rows() -> None:
    titles = [(group.title, len(group.rows)) for group in groups_of(REPORTS["full"])]
    cpu = "Intel(R) Xeon(R) Processor"
    assert titles == [
        (f"{cpu}, 1 thread", len(FULL) + 1),
        (f"{cpu}, 2 threads", len(FULL)),
        (f"{PI}, 2 threads", 1),
    ]


def _shots(*points: tuple[float, float]) -> list[Shot]:
    return [Shot(f"{ms} {bleu}", "keras", True, ms, bleu) for ms, bleu in points]


def test_the_front_is_what_nothing_beats() -> None:
    shots = _shots((5, 19), (6, 18), (7, 20), (7, 19.5), (9, 20), (30, 21))
    assert [(shot.ms, shot.bleu4) for shot in front_of(shots)] == [(5, 19), (7, 20), (30, 21)]
    beaten = [
        shot
        for shot in shots
        if any(
            (other.ms <= shot.ms and other.bleu4 >= shot.bleu4)
            and (other.ms, other.bleu4) != (shot.ms, shot.bleu4)
            for other in shots
        )
    ]
    assert [shot for shot in shots if shot not in beaten] == front_of(shots)


@pytest.mark.parametrize("count", [1, 5, 24])
def test_names_cover_neither_each_other_nor_points(count: int) -> None:
    # All in a heap, where a real run's float targets are.
    points = [(300.0 + 9 * (place % 5), 200.0 + 7 * place) for place in range(count)]
    area = Box(48, 26, 880, 600)
    boxes = place_labels(points, [(140.0, 13.0)] * count, area)
    assert boxes is not None
    for place, box in enumerate(boxes):
        assert box.within(area)
        assert not any(box.overlaps(other) for other in boxes[:place])
        assert not any(
            box.left < x < box.left + box.width and box.top < y < box.top + box.height
            for x, y in points
        )


def test_names_without_room_are_not_placed() -> None:
    assert place_labels([(10, 10)] * 9, [(90, 13)] * 9, Box(0, 0, 100, 40)) is None


def test_spreading_keeps_order_and_gap() -> None:
    assert spread([], 10, 0, 100) == []
    assert spread([50.0, 51.0, 52.0], 10, 0, 100) == [50.0, 60.0, 70.0]
    assert spread([99.0, 98.0], 10, 0, 100) == [100.0, 90.0]
    assert spread([5.0, 5.0, 5.0], 100, 0, 100) == [0.0, 50.0, 100.0]


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [0.11, 740.0], [18.4, 19.9], [2.0, 3.0]])
def test_axes_hold_their_values_and_have_ticks(values: list[float]) -> None:
    for scale in (linear_scale(values), linear_scale(values, from_zero=True), log_scale(values)):
        assert all(0 <= scale.share(value) <= 1 for value in values)
        assert 2 <= len(scale.ticks) <= 13
        assert all(0 <= scale.share(tick) <= 1 for tick in scale.ticks)


@pytest.mark.parametrize(
    ("totals", "end"),
    [
        ([5.0], 5.0),
        ([5.0, 6.0, 7.0, 12.0, 14.0, 90.0, 700.0], 14.0),
        ([5.0, 6.0, 7.0], 7.0),
        ([1.0, 10.0, 11.0, 12.0], 12.0),
    ],
)
def test_stage_axis_ends_before_the_far_bars(totals: list[float], end: float) -> None:
    assert stage_end(totals) == end


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0.00"),
        (1234.5, "1234"),
        (12.34, "12.3"),
        (0.0591, "0.059"),
        (-2.5, "−2.50"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("tflite:float32", "tflite"),
        ("my.onnx", "onnx"),
        ("notebook-compiled", "notebook"),
        ("gpu", "gpu"),
        ("keras-like.tflite", "tflite"),
        ("something", "other"),
    ],
)
def test_families(target: str, name: str) -> None:
    assert family({"target": target, "floor_of": None}) == name
    assert family({"target": f"bare {target}", "floor_of": target}) == name
