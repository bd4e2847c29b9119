"""Photographs with captions: the layouts they come in, and what training needs of them."""

from __future__ import annotations

from edgecap.data.coco_words import coco_tokenise, coco_words
from edgecap.data.layouts import Reader, readers, register_reader
from edgecap.data.loading import load_dataset
from edgecap.data.model import Dataset, Photo, Problem
from edgecap.data.tokenise import clean_tokens, tokenise

__all__ = [
    "Dataset",
    "Photo",
    "Problem",
    "Reader",
    "clean_tokens",
    "coco_tokenise",
    "coco_words",
    "load_dataset",
    "readers",
    "register_reader",
    "tokenise",
]
