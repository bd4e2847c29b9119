"""Takes every encoder with every decoder to the device: `python bench/systems.py --help`."""

from __future__ import annotations

from edgecap_bench.systems.command import main

if __name__ == "__main__":
    main()
