"""docs/embedding.md shows the samples as they are."""

from __future__ import annotations

import re

from programs import JS, ROOT, C

DOCUMENT = ROOT / "docs" / "embedding.md"


def test_the_page_shows_the_samples_as_they_are() -> None:
    """Each piece of C and JavaScript on the page stands so in a sample that is run."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"```(c|js)\n(.*?)```", text, re.DOTALL)
    assert {language for language, _ in blocks} == {"c", "js"}
    sources = {
        "c": [path.read_text("utf-8") for path in C.glob("*.c")],
        "js": [path.read_text("utf-8") for path in JS.glob("*.js")],
    }
    for language, block in blocks:
        assert any(block in source for source in sources[language]), block
