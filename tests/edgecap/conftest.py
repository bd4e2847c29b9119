"""A tiny dataset and a tiny captioner, made anew for each test run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..conftest import Once

COCO_SCORES = (
    Path(__file__).resolve().parents[3]
    / "shared/data/caption_metrics/fakecap_val2014_subset126_reference_scores.json"
)


@dataclass(frozen=True)
class CocoOracle:
    """Captions that the COCO caption evaluation has scored."""

    candidates: list[list[str]]
    """A caption for each image, as words."""
    references: list[list[list[str]]]
    """Each image's references."""
    scores: dict[str, Any]
    """Its scores, 0 to 1 but for CIDEr-D: "Bleu" (four), "Rouge", "Cider", "Meteor"."""


@pytest.fixture(scope="session")
def coco_oracle() -> CocoOracle:
    """Read the captions and their scores, or skip."""
    if not COCO_SCORES.is_file():
        pytest.skip("../shared/data/caption_metrics is not there")
    known = json.loads(COCO_SCORES.read_text("utf-8"))
    images = sorted(known["gts"])
    return CocoOracle(
        candidates=[known["res"][image][0].split() for image in images],
        references=[[caption.split() for caption in known["gts"][image]] for image in images],
        scores=known["scores"],
    )


COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 60, 220),
    "yellow": (230, 220, 40),
}


def write_tiny_dataset(folder: Path, train: int = 24, dev: int = 8) -> Path:
    """Write coloured squares with captions that name the colour, in the Flickr8k layout."""
    dice = np.random.default_rng(7)
    (folder / "images").mkdir(parents=True)
    captions: list[str] = []
    names: list[str] = []
    colours = list(COLOURS)
    for place in range(train + dev):
        colour = colours[place % len(colours)]
        name = f"{place:03d}_{colour}.jpg"
        noise = dice.integers(-4, 5, (48, 64, 3))
        pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name, quality=95)
        names.append(name)
        captions += [f"{name}#0\tA {colour} square .", f"{name}#1\tA {colour} square ."]
    (folder / "Flickr8k.token.txt").write_text("\n".join(captions) + "\n")
    (folder / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:train]) + "\n")
    (folder / "Flickr_8k.devImages.txt").write_text("\n".join(names[train:]) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_data(once: Once) -> Path:
    """A folder in the Flickr8k layout: 24 training and 8 dev images."""
    return once("tiny data", lambda folder: write_tiny_dataset(folder / "tiny"))


@pytest.fixture(scope="session")
def tiny_weights(once: Once, tiny_data: Path) -> Path:
    """Random encoder weights whose features tell the colours apart.

    In a MobileNet as it is born, signals shrink from layer to layer until nothing is left: its
    batch norm has to have seen pictures once.
    """
    return once("tiny weights", lambda folder: write_weights(folder, tiny_data))


def write_weights(folder: Path, data: Path) -> Path:
    """Write the weights of `tiny_weights`; returns their file."""
    import keras

    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNet(
        weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3), alpha=0.25
    )
    pixels = np.stack(
        [
            np.asarray(Image.open(path).resize((32, 32)), np.float32) / 127.5 - 1
            for path in sorted((data / "images").iterdir())
        ]
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(12):
        network(pixels, training=True)
    path = folder / "tiny.weights.h5"
    network.save_weights(path)
    return path


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of features for all tests that aren't about one."""
    return tmp_path_factory.mktemp("features")


def run_with_copies(trainer: Any, copies: Mapping[tuple[int, int], Path]) -> None:
    """Train to the end, and copy the run's folder at (epoch, batch): as a kill then leaves it."""

    def copy(epoch: int, done: int, total: int) -> None:
        if (epoch, done) in copies:
            shutil.copytree(trainer.folder, copies[epoch, done])

    trainer.run(on_batch=copy)


def save_with_other_words(run: Path, out: Path) -> Path:
    """Save a run again, its last word another; gives the new folder."""
    import dataclasses

    from edgecap.captioner import TrainedCaptioner

    captioner = TrainedCaptioner.load(run)
    words = (*captioner.design.vocabulary.words[:-1], "octarine")
    vocabulary = dataclasses.replace(captioner.design.vocabulary, words=words)
    captioner.design = dataclasses.replace(captioner.design, vocabulary=vocabulary)
    captioner.save(out)
    return out


TINY_SETTINGS = (
    "encoder.size=32",
    "encoder.width=0.25",
    "decoder.embedding=16",
    "decoder.units=24",
    "decoder.dropout=0",
    "training.batch=8",
    "training.learning_rate=0.005",
    "training.drop_after=",
    "training.average=0",
    "training.reward_epochs=0",
)
"""Settings of a captioner that trains in seconds."""


def learn_colours(folder: Path, data: Path, weights: Path, *more: str) -> Path:
    """Train a tiny captioner, with more settings than `TINY_SETTINGS`; gives its folder."""
    from edgecap.training.session import TrainingSession

    settings = (*TINY_SETTINGS, "training.epochs=30", "training.patience=30", *more)
    session = TrainingSession.open(data, settings=settings, minimum_count=1)
    session.encode(weights, cache=folder.parent / "cache")
    trainer = session.trainer(folder)
    trainer.run()
    session.finish(folder, trainer)
    return folder


@pytest.fixture(scope="session")
def tiny_run(once: Once, tiny_data: Path, tiny_weights: Path) -> Path:
    """A run that has learned the colours."""
    return once("tiny run", lambda folder: learn_colours(folder / "tiny", tiny_data, tiny_weights))
