"""What Keras says about the images, in files that every processor reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgecap_export import Prover

__all__ = ["KerasSide", "write_keras_side"]


@dataclass(frozen=True)
class KerasSide:
    """A folder that `write_keras_side` filled."""

    folder: Path
    """The folder, absolute."""

    @property
    def pictures(self) -> Path:
        """NumPy's file of the prepared images, uint8 [images, H, W, 3]."""
        return self.folder / "pictures.npy"

    @property
    def words(self) -> Path:
        """JSON: the word ids that are fed for each image."""
        return self.folder / "words.json"

    @cached_property
    def greedy(self) -> list[tuple[int, ...]]:
        """Word ids of Keras' greedy captions."""
        return [tuple(ids) for ids in self._read("greedy.json")]

    @cached_property
    def tokens(self) -> list[list[int]]:
        """For each image the token that Keras chose after the start id and after each word fed."""
        tokens: list[list[int]] = self._read("tokens.json")
        return tokens

    @cached_property
    def equal_prefixes(self) -> NDArray[np.float32]:
        """Keras' log probabilities [rows, V], a row for each of `tokens`."""
        rows: NDArray[np.float32] = np.load(self.folder / "keras.npy", mmap_mode="r")
        return rows

    def rows(self, images: int) -> int:
        """Return how many rows of log probabilities the first images have."""
        return sum(len(tokens) for tokens in self.tokens[:images])

    def _read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text("utf-8"))


def write_keras_side(prover: Prover, folder: Path) -> None:
    """Write what Keras says about a prover's images to a folder, which has to be there."""
    source, reference = prover.source, prover.reference
    most, end = source.defaults.max_words, source.vocabulary.end_id
    fed, tokens, rows = [], [], []
    for index, ids in enumerate(reference.greedy):
        # Nothing follows a caption that is as long as can be, so its last word isn't fed.
        prefix = ids[: most - 1]
        fed.append(list(prefix))
        tokens.append([*ids, end][: len(prefix) + 1])
        expected = prover.model.log_probabilities(
            reference.features[index : index + 1], np.array([prefix], np.int32)
        )
        rows.append(expected[0].astype(np.float32))
    np.save(folder / "pictures.npy", prover.pictures.pixels)
    np.save(folder / "keras.npy", np.concatenate(rows))
    for name, content in (("words", fed), ("tokens", tokens), ("greedy", reference.greedy)):
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
