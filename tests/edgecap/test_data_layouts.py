"""Each layout read from files as they are published, and damaged ones refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgecap.data import Dataset, load_dataset
from edgecap_runtime.errors import EdgecapError

SHARED = Path(__file__).resolve().parents[3] / "shared/data/flickr8k"


def images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)


def write(path: Path, content: str | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


def captions(dataset: Dataset, split: str) -> dict[str, list[str]]:
    return {
        photo.path.name: [" ".join(caption) for caption in photo.captions]
        for photo in dataset.split(split)
    }


# Flickr8k


TOKENS = "a.jpg#0\tA dog 's ball .\na.jpg#1\tBall -- red .\nb.jpg#0\tA man\nc.jpg#0\tA cat\n"


@pytest.mark.parametrize("text", [".", "text", "Flickr8k_text"])
@pytest.mark.parametrize("folder", [".", "images", "Flicker8k_Dataset", "Flickr8k_Dataset"])
def test_flickr8k(tmp_path: Path, text: str, folder: str) -> None:
    write(tmp_path / text / "Flickr8k.token.txt", TOKENS)
    write(tmp_path / text / "Flickr_8k.trainImages.txt", "a.jpg\n")
    write(tmp_path / text / "Flickr_8k.devImages.txt", "b.jpg\r\n")
    images(tmp_path / folder, "a.jpg", "b.jpg", "c.jpg")
    dataset = load_dataset(tmp_path)
    assert dataset.name == "flickr8k"
    assert captions(dataset, "train") == {"a.jpg": ["a dog 's ball", "ball red"]}
    assert captions(dataset, "dev") == {"b.jpg": ["a man"]}
    assert dataset.problems == ()
    assert dataset.notes == (
        "Images of Flickr8k.token.txt that belong to no split and are left out: 1, "
        "for example c.jpg.",
    )


def test_flickr8k_whose_images_are_all_in_a_split(tmp_path: Path) -> None:
    write(tmp_path / "Flickr8k.token.txt", TOKENS)
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\nb.jpg\n\nc.jpg")
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    dataset = load_dataset(tmp_path)
    assert captions(dataset, "train").keys() == {"a.jpg", "b.jpg", "c.jpg"}
    assert dataset.notes == ()


def test_flickr8k_image_listed_but_never_captioned(tmp_path: Path) -> None:
    write(tmp_path / "Flickr8k.token.txt", TOKENS)
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\nz.jpg\na.jpg\n")
    images(tmp_path, "a.jpg", "z.jpg")
    dataset = load_dataset(tmp_path)
    assert len(captions(dataset, "train")["a.jpg"]) == 2
    assert [problem.name for problem in dataset.problems] == ["z.jpg"]


@pytest.mark.parametrize("line", ["a.jpg#0 A dog", "a.jpg\tA dog"])
def test_flickr8k_damaged_line(tmp_path: Path, line: str) -> None:
    write(tmp_path / "Flickr8k.token.txt", f"{TOKENS}{line}\n")
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\n")
    with pytest.raises(EdgecapError, match=r"Flickr8k\.token\.txt, line 5: expected IMAGE#NUMBER"):
        load_dataset(tmp_path)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "Flickr8k.token.txt").write_bytes(b"a.jpg#0\tA caf\xe9 .\n")
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\n")
    with pytest.raises(EdgecapError, match=r"is not UTF-8 text \(byte 13\)"):
        load_dataset(tmp_path)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/flickr8k is not there")
def test_flickr8k_itself() -> None:
    dataset = load_dataset(SHARED)
    assert {split: len(photos) for split, photos in dataset.photos.items()} == {
        "train": 6000,
        "dev": 1000,
    }
    assert all(len(photo.captions) == 5 for photo in dataset.split("train"))
    assert [problem.name for problem in dataset.problems] == ["test"]


# Karpathy


def karpathy_image(filename: str, split: str, *sentences: dict[str, Any], **more: str) -> Any:
    return {"filename": filename, "split": split, "sentences": list(sentences), **more}


def test_karpathy(tmp_path: Path) -> None:
    content = {
        "images": [
            karpathy_image("a.jpg", "train", {"tokens": ["a", "dog"]}, {"raw": "A dog's ball."}),
            karpathy_image("b.jpg", "val", {"tokens": ["two", "men"], "raw": "Two men."}),
            karpathy_image("c.jpg", "restval", {"tokens": ["cat"]}, filepath="val2014"),
            karpathy_image("d.jpg", "test", {"tokens": ["bird"]}, filepath="val2014"),
        ]
    }
    write(tmp_path / "dataset_coco.json", content)
    images(tmp_path / "images", "a.jpg", "b.jpg", "d.jpg")
    images(tmp_path / "val2014", "c.jpg")
    dataset = load_dataset(tmp_path)
    assert dataset.name == "coco"
    assert captions(dataset, "train") == {"a.jpg": ["a dog", "a dog 's ball"], "c.jpg": ["cat"]}
    assert captions(dataset, "dev") == {"b.jpg": ["two men"]}
    assert captions(dataset, "test") == {"d.jpg": ["bird"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [', "is not JSON or is cut short"),
        ("[]", "holds a JSON list where an object is expected"),
        ('{"annotations": []}', "has no list 'images'"),
        ('{"images": [{"filename": "a.jpg"}]}', r"image 0 is not as expected .*sentences"),
        (
            '{"images": [{"filename": "a.jpg", "split": "x", "sentences": []}]}',
            "image 0 names the split 'x'; use one of train",
        ),
        ('{"images": []}', "name no image"),
    ],
)
def test_karpathy_damaged(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path / "dataset_x.json", content)
    with pytest.raises(EdgecapError, match=message):
        load_dataset(tmp_path)


def test_karpathy_two_files(tmp_path: Path) -> None:
    for name in ("dataset_a.json", "dataset_b.json"):
        write(tmp_path / name, {"images": []})
    with pytest.raises(EdgecapError, match=r"holds dataset_a\.json, dataset_b\.json; keep the one"):
        load_dataset(tmp_path)


# COCO


def coco(*rows: tuple[int, str, str]) -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": name} for i, name, _ in rows],
        "annotations": [{"id": 7 + i, "image_id": i, "caption": text} for i, _, text in rows],
    }


@pytest.mark.parametrize("text", [".", "annotations"])
@pytest.mark.parametrize("folder", [".", "images"])
@pytest.mark.parametrize("year", ["2017", "2014", ""])
def test_coco(tmp_path: Path, text: str, folder: str, year: str) -> None:
    # The same file name in both folders is not the same image.
    train = coco((1, "1.jpg", "A dog's ball."), (2, "2.jpg", "Two men"))
    write(tmp_path / text / f"captions_train{year}.json", train)
    write(tmp_path / text / f"captions_val{year}.json", coco((3, "1.jpg", "A cat!")))
    images(tmp_path / folder / f"train{year}", "1.jpg", "2.jpg")
    images(tmp_path / folder / f"val{year}", "1.jpg")
    dataset = load_dataset(tmp_path)
    assert dataset.name == f"coco{year}"
    assert captions(dataset, "train") == {"1.jpg": ["a dog 's ball"], "2.jpg": ["two men"]}
    assert captions(dataset, "dev") == {"1.jpg": ["a cat"]}
    if text == "annotations":
        assert load_dataset(tmp_path / text).photos.keys() == {"train", "dev"}


def test_coco_one_folder_for_both_splits_shares_the_image(tmp_path: Path) -> None:
    write(tmp_path / "captions_train2017.json", coco((1, "1.jpg", "A dog")))
    write(tmp_path / "captions_val2017.json", coco((1, "1.jpg", "A dog")))
    images(tmp_path / "images", "1.jpg")
    with pytest.raises(EdgecapError, match="splits share 1 image"):
        load_dataset(tmp_path)


def test_coco_of_two_years(tmp_path: Path) -> None:
    for year in ("2014", "2017"):
        write(tmp_path / f"captions_val{year}.json", coco((1, "1.jpg", "A dog")))
    with pytest.raises(EdgecapError, match=r"several years \(2014, 2017\)"):
        load_dataset(tmp_path)


def test_coco_caption_of_an_unlisted_image(tmp_path: Path) -> None:
    content = coco((1, "1.jpg", "A dog"), (9, "9.jpg", "A cat"))
    del content["images"][1]
    write(tmp_path / "captions_val2017.json", content)
    with pytest.raises(EdgecapError, match=r"images that it does not list \(1, .* image_id 9"):
        load_dataset(tmp_path)


def test_coco_without_annotations(tmp_path: Path) -> None:
    write(tmp_path / "captions_val2017.json", {"images": []})
    with pytest.raises(EdgecapError, match="KeyError: 'annotations'"):
        load_dataset(tmp_path)


# Tables


@pytest.mark.parametrize("name", ["captions.csv", "captions.txt"])
def test_csv(tmp_path: Path, name: str) -> None:
    rows = 'image,caption,split\na.jpg,"A dog, running",train\nb.jpg,Two men,validation\n'
    write(tmp_path / name, "\ufeff" + rows)
    images(tmp_path / "Images", "a.jpg", "b.jpg")
    dataset = load_dataset(tmp_path)
    assert captions(dataset, "train") == {"a.jpg": ["a dog running"]}
    assert captions(dataset, "dev") == {"b.jpg": ["two men"]}
    assert dataset.notes == ()


def test_a_table_without_splits_is_split_by_name(tmp_path: Path) -> None:
    names = [f"{number:03}.jpg" for number in range(200)]
    images(tmp_path, *names)
    write(tmp_path / "captions.csv", "image,caption\n" + "".join(f"{n},A dog\n" for n in names))
    first = load_dataset(tmp_path)
    assert "no split column" in first.notes[0]
    sizes = {split: len(photos) for split, photos in first.photos.items()}
    assert sum(sizes.values()) == 200
    assert 140 <= sizes["train"] <= 180
    assert min(sizes["dev"], sizes["test"]) >= 8
    # Other rows, in another order and spelling, change no image's split.
    rows = [{"image": f"./{name}", "caption": "A cat"} for name in reversed(names[:50])]
    (tmp_path / "captions.csv").unlink()
    write(tmp_path / "captions.jsonl", "\n".join(map(json.dumps, rows)))
    second = load_dataset(tmp_path)
    for split, photos in second.photos.items():
        before = {photo.path.name for photo in first.split(split)}
        assert {photo.path.name for photo in photos} <= before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.csv", "file,caption\na.jpg,A dog\n", "has no column image "),
        ("captions.csv", "", "has no column image and no column caption"),
        ("captions.csv", "image,caption\na.jpg,A dog, running\n", "line 2 has more fields"),
        ("captions.csv", "image,caption\na.jpg\n", "line 2 has the caption None"),
        ("captions.csv", "image,caption\n,A dog\n", "line 2 has the image ''"),
        ("captions.csv", 'image,caption\na.jpg,"A dog\nb.jpg,A cat\n', "is not CSV"),
        ("captions.csv", "image,caption,split\na.jpg,A dog,\n", "line 2 has the split ''"),
        ("captions.jsonl", '{"image": "a.jpg"}', "line 1 has the caption None"),
        ("captions.jsonl", '{"image": "a.jpg", "caption": 3}', "line 1 has the caption 3"),
        ("captions.jsonl", '\n{"image": ', "line 2 is not JSON"),
        ("captions.jsonl", "[1]", "line 1 is no JSON object"),
        (
            "captions.jsonl",
            '{"image": "a", "caption": "b", "split": "dev"}\n{"image": "c", "caption": "d"}',
            "line 2: give every row of the table a split, or none",
        ),
    ],
)
def test_a_damaged_table(tmp_path: Path, name: str, content: str, message: str) -> None:
    write(tmp_path / name, content)
    with pytest.raises(EdgecapError, match=message):
        load_dataset(tmp_path)


def test_two_tables(tmp_path: Path) -> None:
    write(tmp_path / "captions.csv", "image,caption\n")
    write(tmp_path / "captions.jsonl", "")
    with pytest.raises(EdgecapError, match=r"holds captions\.csv, captions\.jsonl; keep the one"):
        load_dataset(tmp_path)
