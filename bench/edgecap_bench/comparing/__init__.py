"""Two reports of the benchmark, compared figure by figure."""

from edgecap_bench.comparing.comparison import Comparison, compare_reports
from edgecap_bench.comparing.judging import Change, Verdict

__all__ = ["Change", "Comparison", "Verdict", "compare_reports"]
