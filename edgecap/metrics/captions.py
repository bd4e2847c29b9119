"""What every metric takes: captions as lists of words, and the check that they can be scored."""

from __future__ import annotations

from collections.abc import Sequence

from edgecap_runtime.errors import EdgecapError

Tokens = Sequence[str]
"""A caption's words; candidates and references went through the same tokenisation."""


def check_references(references: Sequence[Sequence[Tokens]]) -> None:
    """Raise `EdgecapError` for an image without a reference, or a caption that is a string."""
    for index, of_image in enumerate(references):
        if not of_image:
            raise EdgecapError(f"Image {index} has no reference caption; give at least one.")
        for caption in of_image:
            _check_caption(index, caption)


def check_candidates(candidates: Sequence[Tokens], images: int) -> None:
    """Raise `EdgecapError` for no caption, captions of another number of images, or a string."""
    if not candidates:
        raise EdgecapError("There is no caption to score; give at least one.")
    if len(candidates) != images:
        raise EdgecapError(
            f"The number of captions ({len(candidates)}) is not that of lists of references "
            f"({images}); give one list of references for each caption."
        )
    for index, caption in enumerate(candidates):
        _check_caption(index, caption)


def _check_caption(index: int, caption: Tokens) -> None:
    if isinstance(caption, str):
        raise EdgecapError(
            f"A caption of image {index} is the string {caption[:40]!r}; give a list of tokens."
        )
