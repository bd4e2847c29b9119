"""The benchmark's tables in Markdown hold the report's figures, and stay tables."""

from __future__ import annotations

from edgecap_bench.markdown_tables import markdown_tables

from .reports import FULL, NO_GPU, full_report


def _tables(text: str) -> list[list[list[str]]]:
    """Give the tables of a page as lists of rows of cells."""
    found: list[list[list[str]]] = []
    within = False
    for line in text.splitlines():
        if line.startswith("| "):
            if not within:
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        within = line.startswith("|")
    return found


def _row(table: list[list[str]], target: str) -> dict[str, str]:
    found = next(row for row in table if row[0] == target)
    return dict(zip(table[0], found, strict=True))


def test_figures_are_the_report_s() -> None:
    report = full_report()
    times, ratios = _tables(markdown_tables(report))[:2]
    row = next(row for row in report["rows"] if row["target"] == "tflite:static-int8")
    cells = _row(times, "tflite static-int8")
    greedy, beam = row["caption_ms"]["greedy"], row["caption_ms"]["beam 3"]
    assert cells["file MB"] == f"{row['file_mb']:.1f}"
    assert cells["a word"] == f"{row['per_word_ms']['p50']:.2f}"
    assert cells["caption p50 / p90 / p99"].split(" / ")[0] == f"{greedy['p50']:.1f}"
    assert cells["beam 3"].removesuffix(" noisy") == f"{beam['p50']:.1f}"
    bleu = [row["quality"][name]["bleu4"]["value"] for name in ("greedy", "beam 3")]
    assert cells["BLEU-4 greedy / beam 3"] == " / ".join(f"{value:.1f}" for value in bleu)
    cells = _row(ratios, "tflite static-int8")
    assert cells["caption / its bare parts"] == f"{row['ratios']['over_bare']:.2f}"
    assert cells["beam 3 / greedy"] == f"{row['ratios']['beam_over_greedy']['3']:.2f}"


def test_every_row_has_every_cell_and_bare_parts_have_none() -> None:
    report = full_report()
    report["rows"][0]["error"] = "broken | in\ntwo"
    for table in _tables(markdown_tables(report)):
        assert len({len(row) for row in table}) == 1
        assert not any(row[0].startswith("bare") for row in table)


def test_where_nothing_was_scored_there_are_no_columns_for_it() -> None:
    report = full_report(FULL[:3], threads=(4,), pi=False, scored=False)
    for table in _tables(markdown_tables(report)):
        assert not any("BLEU" in name or "CIDEr" in name for name in table[0])
        assert len({len(row) for row in table}) == 1


def test_a_target_that_failed_says_why() -> None:
    gpu = _row(_tables(markdown_tables(full_report()))[0], "gpu")
    assert gpu.pop("target") == "gpu"
    assert gpu.pop("file MB") == NO_GPU
    assert set(gpu.values()) == {""}


def test_noise_and_disturbance_are_said() -> None:
    report = full_report()
    report["disturbance"]["why"] = ["other programs took 40 % of the processors"]
    text = markdown_tables(report)
    noisy = any(each["noisy"] for row in report["rows"] for each in row["caption_ms"].values())
    assert noisy
    assert " noisy |" in text
    assert "Disturbed: other programs took 40 % of the processors" in text
