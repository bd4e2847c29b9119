"""Exports captioners by every recipe and measures each: `python bench/recipes.py --help`."""

from __future__ import annotations

from edgecap_bench.recipes.command import main

if __name__ == "__main__":
    main()
