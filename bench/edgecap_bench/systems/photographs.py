"""A dataset small enough to be learned by heart: the photographs in the box, a caption each."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgecap.box import sample_photos
from edgecap.files import make_folder
from edgecap_runtime.atomic import replacing

__all__ = ["CAPTIONS", "write_dataset"]

CAPTIONS: Mapping[str, str] = {
    "astronaut-on-moon": "a person in a white suit stands outside",
    "astronaut-portrait": "a smiling woman in an orange uniform poses",
    "dogs-at-a-door": "two brown dogs look out of a wooden door",
    "drink-on-beach": "a red drink stands on the sand",
    "drum-festival": "a crowd watches people drum at night",
    "football": "a soccer ball lies on the grass",
    "german-shepherd": "a black and brown dog stands on the grass",
    "golden-retriever": "a golden retriever with its tongue out",
    "horses": "horses stand together on a green hill",
    "hot-air-balloon": "a colorful balloon flies in the blue sky",
    "kitten-with-yarn": "a black and white cat plays with a ball",
    "orchestra": "many musicians play their instruments on a stage",
    "pagoda": "a red building stands among trees above a lake",
    "people-at-city-gate": "people walk in front of a large building",
}
"""A caption of each photograph, of words that the captioner in the box knows.

No length is that of a single caption: to learn from prefixes of one length is to see one photograph
in the whole batch then, and to forget the others.
"""

_REPEATS = 10
"""Rows a caption: an epoch of fourteen would be over before it is worth a score."""


def write_dataset(folder: Path, longest: int | None = None) -> Path:
    """Write the photographs and their captions as a CSV dataset.

    The splits "train" and "dev" hold the same photographs, by other names, for the captioner is
    only asked whether it learned them.

    Args:
        folder: where.
        longest: words kept of a caption; None for all.
    """
    lines = io.StringIO()
    table = csv.writer(lines)
    table.writerow(["image", "caption", "split"])
    images = make_folder(folder / "images")
    for photo in sample_photos():
        for split, repeats in (("train", _REPEATS), ("dev", 1)):
            name = f"{split}-{photo.name}"
            shutil.copyfile(photo, images / name)
            caption = " ".join(CAPTIONS[photo.stem].split()[:longest])
            table.writerows([[name, caption, split]] * repeats)
    with replacing(folder / "captions.csv") as stream:
        stream.write(lines.getvalue().encode())
    return folder
