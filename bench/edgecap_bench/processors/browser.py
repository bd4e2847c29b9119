"""Chromium's WebAssembly, in which edgecap-web runs .tflite files."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgecap_bench.emulation.programs import WEB, no_browser
from edgecap_bench.emulation.systems import CHECKOUT

__all__ = ["BROWSER", "SAY_JS", "Browser"]

SAY_JS = CHECKOUT / "tests" / "web" / "say.js"
"""The browser's `say.py`."""


@dataclass(frozen=True)
class Browser:
    """Chromium with edgecap-web."""

    name: str = "wasm"
    title: str = "Chromium, WebAssembly"
    how: str = "browser"
    formats: tuple[str, ...] = (".tflite",)

    def missing(self) -> str | None:
        """Return what it takes; None if all is here."""
        reason = no_browser()
        if reason is None and not (WEB / "node_modules").is_dir():
            reason = "needs npm's packages: cd runtime/web && npm ci"
        return reason

    def environment(self) -> dict[str, str]:
        """Return the environment of the script."""
        return dict(os.environ)


BROWSER = Browser()
