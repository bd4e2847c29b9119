"""Times a captioner on the device itself, with nothing but the runtime.

photographs.py  what is captioned where no photographs are given
measure.py      the rounds
summary.py      percentiles
report.py       the report, as JSON and as lines
command.py      `edgecap-runtime bench`
"""
