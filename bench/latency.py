"""Times captioners against each other on this machine: `python bench/latency.py --help`."""

from __future__ import annotations

from edgecap_bench.command import main

if __name__ == "__main__":
    main()
