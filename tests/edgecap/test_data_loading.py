"""What holds for every layout: missing images, shared images, the choice of the reader."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edgecap.data import Dataset, Problem, load_dataset, readers
from edgecap_runtime.errors import EdgecapError, OptionError

Rows = list[tuple[str, str, str]]


def save_image(path: Path, size: tuple[int, int] = (64, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 80).convert("RGB").save(path)


@pytest.fixture
def table(tmp_path: Path) -> Callable[[Rows], Path]:
    """Write captions.jsonl and an image for each row."""

    def write(rows: Rows) -> Path:
        lines = []
        for image, caption, split in rows:
            lines.append(json.dumps({"image": image, "caption": caption, "split": split}))
            save_image(tmp_path / "images" / image)
        (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path

    return write


ROWS = [
    ("a.jpg", "A dog.", "train"),
    ("a.jpg", "A brown dog runs.", "train"),
    ("b.jpg", "Two men", "train"),
    ("c.jpg", "A cat", "dev"),
    ("d.jpg", "A bird", "dev"),
]


def names(dataset: Dataset, split: str) -> list[str]:
    return [photo.path.name for photo in dataset.split(split)]


def test_captions_of_one_image_are_put_together(table: Callable[[Rows], Path]) -> None:
    dataset = load_dataset(table(ROWS))
    assert {split: len(photos) for split, photos in dataset.photos.items()} == {
        "train": 2,
        "dev": 2,
    }
    photo = dataset.split("train")[0]
    assert photo.captions == (("a", "dog"), ("a", "brown", "dog", "runs"))
    assert photo.path.is_file()
    assert dataset.problems == ()


def test_missing_and_empty_images_are_named(table: Callable[[Rows], Path]) -> None:
    directory = table(ROWS)
    (directory / "images/b.jpg").unlink()
    (directory / "images/c.jpg").write_bytes(b"")
    dataset = load_dataset(directory)
    assert names(dataset, "train") == ["a.jpg"]
    assert names(dataset, "dev") == ["d.jpg"]
    assert [problem.name for problem in dataset.problems] == ["b.jpg", "c.jpg"]
    assert "0 bytes" in dataset.problems[1].reason


def test_a_split_without_any_image_is_one_problem(table: Callable[[Rows], Path]) -> None:
    directory = table(ROWS)
    for name in ("c.jpg", "d.jpg"):
        (directory / "images" / name).unlink()
    dataset = load_dataset(directory)
    (problem,) = dataset.problems
    assert problem.name == "dev"
    assert "none of the split's 2 images" in problem.reason
    with pytest.raises(OptionError, match=r"no split 'dev'.*use one of train\."):
        dataset.split("dev")


def test_an_image_without_a_caption_is_named(table: Callable[[Rows], Path]) -> None:
    dataset = load_dataset(table([*ROWS, ("e.jpg", " . ", "train"), ("a.jpg", "!", "train")]))
    assert dataset.problems == (Problem("e.jpg", "it has no caption"),)
    assert any(note.endswith("which were dropped: 2.") for note in dataset.notes)


def test_validation_means_dev(table: Callable[[Rows], Path]) -> None:
    dataset = load_dataset(table(ROWS))
    assert dataset.split("val") == dataset.split("validation") == dataset.split("dev")


def test_damaged_images_are_found_when_checked(table: Callable[[Rows], Path]) -> None:
    directory = table(ROWS)
    whole = (directory / "images/a.jpg").read_bytes()
    (directory / "images/a.jpg").write_bytes(whole[: len(whole) // 2])
    (directory / "images/c.jpg").write_text("no image", encoding="utf-8")
    assert load_dataset(directory).problems == ()
    calls: list[tuple[int, int]] = []
    dataset = load_dataset(
        directory, check_images=True, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert names(dataset, "train") == ["b.jpg"]
    assert names(dataset, "dev") == ["d.jpg"]
    reasons = {problem.name: problem.reason for problem in dataset.problems}
    assert "truncated" in reasons["a.jpg"]
    assert "no image" in reasons["c.jpg"]


def test_a_decompression_bomb_is_a_problem(
    table: Callable[[Rows], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = table(ROWS)
    save_image(directory / "images/b.jpg", size=(400, 400))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400 * 400 // 3)
    (problem,) = load_dataset(directory, check_images=True).problems
    assert problem.name == "b.jpg"
    assert "exceeds limit" in problem.reason


def test_splits_sharing_a_name_are_refused(table: Callable[[Rows], Path]) -> None:
    rows = [*ROWS, ("a.jpg", "A dog", "test"), ("b.jpg", "Men", "dev")]
    with pytest.raises(EdgecapError, match=r"share 2 images, for example a\.jpg in train and test"):
        load_dataset(table(rows))


def test_splits_sharing_a_missing_image_are_refused(table: Callable[[Rows], Path]) -> None:
    directory = table([*ROWS, ("b.jpg", "Men", "dev")])
    (directory / "images/b.jpg").unlink()
    with pytest.raises(EdgecapError, match=r"share 1 image, for example b\.jpg"):
        load_dataset(directory)


def test_splits_sharing_a_file_under_two_names_are_refused(table: Callable[[Rows], Path]) -> None:
    directory = table(ROWS)
    link = directory / "images/d.jpg"
    link.unlink()
    link.symlink_to(directory / "images/a.jpg")
    with pytest.raises(EdgecapError, match=r"share 1 image, for example d\.jpg in train and dev"):
        load_dataset(directory)


def test_the_image_folder_can_be_elsewhere(table: Callable[[Rows], Path], tmp_path: Path) -> None:
    directory = table(ROWS)
    elsewhere = tmp_path / "elsewhere"
    (directory / "images").rename(elsewhere)
    with pytest.raises(EdgecapError, match=r"None of the 5 images.*name the folder"):
        load_dataset(directory)
    assert len(load_dataset(directory, images=elsewhere).split("train")) == 2


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not exist; name a directory"):
        load_dataset(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="is a file; name a directory"):
        load_dataset(tmp_path / "file")
    with pytest.raises(OptionError, match=r"image folder .* does not exist"):
        load_dataset(tmp_path, images=tmp_path / "nowhere")


def test_a_directory_with_no_dataset_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(EdgecapError) as caught:
        load_dataset(tmp_path)
    for reader in readers().values():
        assert reader.looks_for in str(caught.value)


def test_of_two_layouts_the_first_is_read_and_the_other_noted(
    table: Callable[[Rows], Path],
) -> None:
    directory = table(ROWS)
    image = {"filename": "a.jpg", "split": "train", "sentences": [{"tokens": ["dog"]}]}
    (directory / "dataset_tiny.json").write_text(json.dumps({"images": [image]}), encoding="utf-8")
    dataset = load_dataset(directory)
    assert dataset.name == "tiny"
    assert "could be read as table too" in dataset.notes[0]
    assert len(load_dataset(directory, layout="table").split("train")) == 2
    with pytest.raises(OptionError, match="'tabel'; use one of flickr8k, karpathy, coco, table"):
        load_dataset(directory, layout="tabel")


@pytest.mark.parametrize("layout", readers())
def test_a_layout_asked_for_whose_files_are_not_there(tmp_path: Path, layout: str) -> None:
    with pytest.raises(EdgecapError, match=re.escape(str(tmp_path))):
        load_dataset(tmp_path, layout=layout)
