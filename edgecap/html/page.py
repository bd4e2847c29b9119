"""What all pages have in common: the head, the style, and the rule that nothing is loaded."""

from __future__ import annotations

from importlib import resources

from edgecap.html.markup import Child, document, node

__all__ = ["html_document"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser may load: nothing, so a page shown to others calls nobody."""


def html_document(title: str, *body: Child, style: str, script: str) -> str:
    """Give a page's text.

    Args:
        title: of the window.
        body: what stands in the page.
        style: the page's own style sheet, after the one that all have.
        script: runs at the end; the page is readable without.
    """
    base = resources.files("edgecap.html").joinpath("base.css").read_text("utf-8")
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("meta", name="color-scheme", content="light dark"),
        node("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        node("title", title),
        node("style", f"{base}\n{style}"),
    )
    return document(node("html", head, node("body", *body, node("script", script)), lang="en"))
