"""Times how large photographs are prepared: `python bench/preparation.py --help`."""

from __future__ import annotations

from edgecap_bench.preparing.command import main

if __name__ == "__main__":
    main()
