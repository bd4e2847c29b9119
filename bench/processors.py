"""Compares what exported files say on many processors: `python bench/processors.py --help`."""

from __future__ import annotations

from edgecap_bench.processors.command import main

if __name__ == "__main__":
    main()
