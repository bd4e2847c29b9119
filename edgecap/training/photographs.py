"""The photographs of a training and what the encoder makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgecap.data import Dataset
from edgecap.features import Progress, features_now, image_features
from edgecap.training.options import TrainingOptions
from edgecap.views import random_view, training_views
from edgecap_runtime.preparation import Preparation


class Photographs:
    """Gives pixels and features of the photographs of train and dev, in the dataset's order."""

    def __init__(
        self,
        dataset: Dataset,
        preparation: Preparation,
        options: TrainingOptions,
        cache: Path | None = None,
    ) -> None:
        """Keep where they lie.

        Args:
            dataset: has the splits "train" and "dev".
            preparation: how each photograph becomes pixels.
            options: which views are learned from.
            cache: folder for features; None is the user's.
        """
        self._paths = {
            split: [photo.path for photo in dataset.split(split)] for split in ("train", "dev")
        }
        self._preparation = preparation
        self._options = options
        self._cache = cache

    def train_features(self, encoder: Any, progress: Progress | None = None) -> np.ndarray:
        """Compute, or read from the cache, the features of train.

        Args:
            encoder: `keras.Model` from pixels to features.
            progress: called with (images done, images in all), views counted apart.

        Returns:
            float32 [views, images, F].
        """
        options, paths = self._options, self._paths["train"]
        views = training_views(
            mirrored=options.mirrored, crops=options.crops, least_side=options.least_crop
        )
        features = np.empty((len(views), len(paths), encoder.output_shape[-1]), np.float32)
        for place, (view, out) in enumerate(zip(views, features, strict=True)):
            image_features(
                encoder,
                self._preparation,
                paths,
                view=view,
                cache=self._cache,
                progress=progress
                and _shifted(progress, place * len(paths), len(views) * len(paths)),
                out=out,
            )
        return features

    def dev_features(self, encoder: Any, progress: Progress | None = None) -> np.ndarray:
        """Compute, or read from the cache, the features of dev, float32 [images, F]."""
        return image_features(
            encoder, self._preparation, self._paths["dev"], cache=self._cache, progress=progress
        )

    def dev_features_now(self, encoder: Any) -> np.ndarray:
        """Compute float32 [images, F] of dev by an encoder that goes on changing."""
        return features_now(encoder, self._preparation, self._paths["dev"])

    def training_pixels(self, images: np.ndarray, dice: np.random.Generator) -> np.ndarray:
        """Read photographs of train by their places, each in a random view; uint8 [N, H, W, 3]."""
        return np.stack(
            [
                random_view(dice, self._options.least_crop).pixels(
                    self._paths["train"][image], self._preparation
                )
                for image in images
            ]
        )


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)
