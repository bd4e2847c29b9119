"""What `bench/compare.py` runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgecap.console import print_json, run_alone
from edgecap_bench.comparing.comparison import compare_reports
from edgecap_bench.comparing.judging import Verdict
from edgecap_bench.comparing.table import as_json, print_comparison
from edgecap_bench.schema import read_report

__all__ = ["compare", "main"]


@click.command()
@click.argument("before", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("after", metavar="B.json", type=click.Path(path_type=Path))
@click.option(
    "--tolerance",
    type=float,
    default=0.05,
    show_default=True,
    help="Share by which a time, a size or memory must move at least to count.",
)
@click.option(
    "--across-machines", is_flag=True, help="Compare reports of different machines all the same."
)
@click.option("--all", "everything", is_flag=True, help="List figures within the noise too.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for a program to read.")
def compare(
    before: Path,
    after: Path,
    tolerance: float,
    across_machines: bool,
    everything: bool,
    wants_json: bool,
) -> None:
    """Say what got better or worse from report A to report B, beyond the noise.

    Rows are compared that have the same target, threads and device. The exit status is 0 if nothing
    got worse, 1 if something did, 2 for bad input.

    \b
    Example:
      python bench/compare.py main/report.json branch/report.json
    """
    comparison = compare_reports(
        read_report(before),
        read_report(after),
        tolerance=tolerance,
        across_machines=across_machines,
    )
    if wants_json:
        print_json(as_json(comparison))
    else:
        print_comparison(comparison, everything=everything)
    if comparison.count(Verdict.WORSE):
        sys.exit(1)


def main() -> None:
    """Run the command alone; bad input ends with one sentence and exit status 2."""
    run_alone(compare, "compare.py")
