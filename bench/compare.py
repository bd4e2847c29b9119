"""Says what got better or worse between two reports: `python bench/compare.py --help`."""

from __future__ import annotations

from edgecap_bench.comparing.command import main

if __name__ == "__main__":
    main()
