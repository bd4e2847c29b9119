from __future__ import annotations

import csv
import io
from typing import Any

from edgecap_bench.csv_table import COLUMNS, csv_table

from .reports import FULL, NO_GPU, PI, full_report


def _lines(report: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table(report))))


def test_a_line_for_each_row_and_search() -> None:
    report = full_report()
    lines = _lines(report)
    assert [
        (line["target"], line["threads"], line["device"], line["search"]) for line in lines
    ] == [
        (row["target"], str(row["threads"] or ""), row["device"], search)
        for row in report["rows"]
        for search in row["caption_ms"] or [""]
    ]


def test_figures_are_the_report_s() -> None:
    report = full_report()
    row = next(row for row in report["rows"] if row["target"] == "tflite:static-int8")
    greedy, beam = (
        line
        for line in _lines(report)
        if (line["target"], line["threads"]) == ("tflite:static-int8", "1")
    )
    assert float(greedy["caption_ms_p50"]) == row["caption_ms"]["greedy"]["p50"]
    assert float(beam["caption_ms_p50"]) == row["caption_ms"]["beam 3"]["p50"]
    assert float(beam["caption_ms_high"]) == row["caption_ms"]["beam 3"]["p50_interval"][1]
    assert float(beam["greedy_words_ms_p50"]) == row["words_ms"]["p50"]
    assert float(beam["bleu4"]) == row["quality"]["beam 3"]["bleu4"]["value"]
    assert (
        float(beam["cider_d_difference_p"]) == row["quality"]["beam 3"]["against"]["cider_d"]["p"]
    )
    assert float(beam["beam_over_greedy"]) == row["ratios"]["beam_over_greedy"]["3"]
    assert greedy["beam_over_greedy"] == ""
    assert greedy["noisy"] == "false"
    assert greedy["faster_than"].startswith("keras ")
    assert greedy["sha256"] == row["files"][0]["sha256"]


def test_rows_that_know_little() -> None:
    lines = _lines(full_report())
    gpu = lines[0]
    assert gpu["error"] == NO_GPU
    assert {name for name in COLUMNS if gpu[name]} == {
        *("captioner", "started", "commit", "target", "device", "error", "disturbed", "photos"),
    }
    pi = lines[-1]
    assert pi["device"] == PI
    assert pi["disturbed"] == "true"
    assert pi["caption_ms_low"] == pi["bleu4"] == ""
    assert float(pi["energy_j"]) == 0.09


def test_columns_are_the_same_for_every_report() -> None:
    small = full_report(FULL[:1], threads=(4,), gpu=False, pi=False, scored=False)
    for report in (small, full_report(), full_report([], gpu=False, pi=False)):
        assert csv_table(report).splitlines()[0] == ",".join(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_text_with_commas_and_quotes_comes_back() -> None:
    report = full_report(FULL[:1], threads=(1,), pi=False)
    report["rows"][0]["error"] = 'it said "no",\nand left'
    assert _lines(report)[0]["error"] == 'it said "no",\nand left'
