"""Which tests on devices are wanted, and the folders that they share."""

from __future__ import annotations

import os

from edgecap_bench.emulation.systems import CHECKOUT

__all__ = ["EMBEDDING", "FULL", "ROOT", "WANTED"]

ROOT = CHECKOUT
EMBEDDING = ROOT / "runtime" / "embedding" / "js"
WANTED = os.environ.get("EDGECAP_DEVICES")
"""Which run the Makefile asks for, `quick` or `full`; None in `make test`."""
FULL = WANTED == "full"
