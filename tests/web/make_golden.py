"""Writes what the JavaScript runtime is tested on: what the Python runtime says.

    python tests/web/make_golden.py                    # tests/web/golden, which is committed
    python tests/web/make_golden.py --models FOLDER    # exported captioners, made when tests run
    python tests/web/make_golden.py --onnx FOLDER      # the .onnx one, likewise

`test_golden.py` holds the committed files to the Python runtime of today.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from edgecap_runtime import Captioner
from edgecap_runtime.backends import open_backend
from edgecap_runtime.decoding import decode
from edgecap_runtime.errors import EdgecapError
from edgecap_runtime.manifest import Manifest
from edgecap_runtime.options import DecodingOptions
from edgecap_runtime.preparation import Photo, Preparation, prepare
from edgecap_runtime.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
SAMPLES = ROOT / "edgecap" / "samples"

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
SEARCHES = (
    {"beam": 1},
    {"beam": 3, "n_best": 3},
    {"beam": 5, "n_best": 2, "length_penalty": 1.3},
    {"beam": 2, "min_words": 4, "no_repeat_ngram": 2},
)


def noise(width: int, height: int, channels: int, first: int = 0) -> np.ndarray:
    """Give pixels that JavaScript can make too: the top byte of a multiplied place."""
    places = np.arange(first, first + width * height * channels, dtype=np.uint64)
    mixed = (places * 0x9E3779B1 % 2**32) >> 24
    return mixed.astype(np.uint8).reshape(height, width, channels)


def sha256(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def resampling() -> dict[str, Any]:
    """Noise of many sizes, brought to others by each filter and fit."""
    cases = []
    sources = ((1, 1), (7, 5), (64, 48), (1, 300), (300, 200), (500, 375), (1000, 3))
    sizes = ((8, 8), (224, 224), (31, 17))
    for (width, height), (wide, high), name in product(sources, sizes, FILTERS):
        cases.append((width, height, 3, Preparation(high, wide, "stretch", name)))
    # Pillow resizes columns first where the height shrinks more than twice as much: 301, not 300.
    for height, name in product((300, 301, 512), FILTERS):
        cases.append((200, height, 3, Preparation(100, 100, "stretch", name)))
    for (width, height), name in product(((300, 200), (333, 500), (25, 37)), FILTERS):
        cases.append((width, height, 3, Preparation(96, 64, "crop", name)))
    # A half is rounded to the even neighbour: 5 x 3 covers 2 x 3 as 5 x 3, 7 x 2 covers 1 x 1 as 4.
    for width, height in ((5, 2), (7, 2), (9, 2)):
        cases.append((width, height, 3, Preparation(1, 1, "crop", "bilinear")))
    cases.append((256, 256, 4, Preparation(256, 256)))
    cases.append((300, 200, 4, Preparation(96, 64, "crop", "bicubic")))
    return {
        "cases": [
            {
                "width": width,
                "height": height,
                "channels": channels,
                "preparation": asdict(preparation),
                "sha256": sha256(prepare(noise(width, height, channels), preparation)),
            }
            for width, height, channels, preparation in cases
        ]
    }


def samples() -> dict[str, Any]:
    """The sample photographs, by preparations at which Python decodes them at full scale."""
    preparations = (
        Preparation(224, 224),
        Preparation(299, 299, "crop", "bicubic"),
        Preparation(256, 320, "crop", "lanczos"),
        Preparation(300, 300, "stretch", "nearest"),
        Preparation(64, 64, "stretch", "box"),
        Preparation(240, 240, "crop", "hamming"),
    )
    return {
        "cases": [
            {
                "photo": photo.name,
                "preparation": asdict(preparation),
                "sha256": sha256(prepare(photo, preparation)),
            }
            for photo in sorted(SAMPLES.glob("*.jpg"))
            for preparation in preparations
        ]
    }


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Give a picture with slopes, an edge and some noise."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([x, y, (x + y) / 2], axis=2)
    pixels[height // 4 : height // 2, width // 3 : width // 2] = (250, 30, 60)
    pixels += noise(width, height, 3) / 16
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_pictures(folder: Path) -> None:
    """Write a picture for each thing that decoders disagree on."""
    plain = scene()
    alpha = Image.fromarray(noise(96, 64, 1, 5)[:, :, 0])
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, image: Image.Image, **options: Any) -> None:
        image.save(folder / name, **options)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation-{orientation}.jpg", plain, exif=exif, quality=90)
    save("progressive.jpg", plain, progressive=True, quality=80)
    save("subsampled.jpg", plain, subsampling="4:2:0", quality=80)
    save("full-chroma.jpg", plain, subsampling="4:4:4", quality=95)
    save("grey.jpg", plain.convert("L"))
    save("cmyk.jpg", plain.convert("CMYK"), quality=95)
    # sRGB with red and blue exchanged: who heeds the profile exchanges the colours.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    exchanged = bytearray(profile)
    exchanged[24:36] = bytes(12)  # the date, so that each run writes the same
    exchanged[red : red + 4], exchanged[blue : blue + 4] = b"bXYZ", b"rXYZ"
    save("profile.jpg", plain, quality=95, icc_profile=bytes(exchanged))
    save("plain.png", plain)
    save("palette.png", plain.quantize(40))
    save("grey.png", plain.convert("L"))
    translucent = plain.convert("RGBA")
    translucent.putalpha(alpha)
    save("alpha.png", translucent)
    grey_alpha = plain.convert("LA")
    grey_alpha.putalpha(alpha)
    save("grey-alpha.png", grey_alpha)
    save("sixteen-bit.png", Image.fromarray(np.asarray(plain.convert("L")).astype(np.uint16) * 250))
    save("lossless.webp", plain, lossless=True)
    save("lossy.webp", plain, quality=80)
    save("alpha.webp", translucent, lossless=True, exact=True)
    save("two-frames.gif", plain, save_all=True, append_images=[plain.transpose(0)])
    save("plain.bmp", plain)
    # Larger than needed: Python decodes it at 1/4, a browser at full size.
    big = scene(1200, 900)
    save("reduced.jpg", big, quality=85)


def pictures(folder: Path) -> dict[str, Any]:
    preparation = Preparation(48, 40)
    return {
        "preparation": asdict(preparation),
        "cases": [
            {
                "file": path.name,
                "pixels": base64.b64encode(prepare(path, preparation).tobytes()).decode(),
            }
            for path in sorted(folder.iterdir())
        ],
    }


def choices_in_javascript(choices: dict[str, Any]) -> dict[str, Any]:
    """Give options by the names that they have in JavaScript."""
    return {
        "".join([first, *(p.title() for p in rest)]): value
        for (first, *rest), value in ((name.split("_"), v) for name, v in choices.items())
    }


def decoding() -> dict[str, Any]:
    """Searches over random Markov models: the next word depends on the last and on its place."""
    cases = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        words, times = int(random.integers(4, 9)), 3
        spread = 0.7 if seed % 2 else 3.0
        # Whole 1/256s are the same number in both languages; every third model has equals.
        unit = 1 if seed % 3 == 2 else 256
        logits = np.round(random.normal(0, spread, (times, words, words)) * unit) / unit
        vocabulary = Vocabulary(
            tuple(f"w{place}" for place in range(words)),
            start_id=0,
            end_id=1 if seed % 4 else 0,
            never_said=(3,) if seed % 2 else (),
        )
        table = logits.astype(np.float32)

        def step(ids: np.ndarray, state: Any, table: np.ndarray = table) -> Any:
            place = state["t"][:, 0].astype(int)
            return table[place % len(table), ids], {"t": state["t"] + 1}

        searches = []
        for beam, penalty, least, most, ngram in product(
            (1, 2, 5), (0.0, 0.7, 2.0), (0, 3), (1, 6), (0, 1, 2)
        ):
            if least > most:
                continue
            choices = {
                "beam": beam,
                "length_penalty": penalty,
                "min_words": least,
                "max_words": most,
                "no_repeat_ngram": ngram,
                "n_best": min(beam, 3),
            }
            first = {"t": np.zeros((1, 1), np.float32)}
            found = decode(step, first, vocabulary, DecodingOptions(**choices))
            searches.append(
                {
                    "options": choices_in_javascript(choices),
                    "found": [
                        [item.ids, round(item.log_probability, 9), round(item.score, 9), item.ended]
                        for item in found
                    ],
                }
            )
        cases.append(
            {
                "words": words,
                "start_id": vocabulary.start_id,
                "end_id": vocabulary.end_id,
                "never_said": vocabulary.never_said,
                "logits": logits.tolist(),
                "searches": searches,
            }
        )
    return {"cases": cases}


def changes() -> Iterable[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Ways in which a manifest may differ from a good one."""

    def setting(path: str, value: Any) -> tuple[str, Callable[[dict[str, Any]], Any]]:
        *parents, name = path.split(".")

        def change(head: dict[str, Any]) -> None:
            for parent in parents:
                head = head[parent]
            head[name] = value

        return f"{path} = {json.dumps(value)}", change

    def removing(name: str) -> tuple[str, Callable[[dict[str, Any]], Any]]:
        return f"without {name}", lambda head: head.pop(name)

    yield "as it is", lambda head: None
    for name in ("format_version", "kind", "preparation", "vocabulary", "state", "defaults"):
        yield removing(name)
    for name in ("prefix", "source"):
        yield removing(name)
    for version in ("1.0", "1.99", "2.0", "0.9", "1", "one.two", "", 1.1):
        yield setting("format_version", version)
    yield setting("from_the_future", {"any": "thing"})
    for kind in ("prefix", "telepathy", 3, None):
        yield setting("kind", kind)
    yield setting("prefix", {"length": 9, "padding_id": 0, "padded": "end", "skipped_id": None})
    for value in (0, -3, 8193, "8", True, None):
        yield setting("preparation.height", value)
    for size in ((4096, 4096), (4097, 4096), (8192, 2048), (8192, 8192), (1e300, 1)):
        sides = dict(zip(("height", "width"), size, strict=True))
        yield f"a size of {size}", lambda head, sides=sides: head["preparation"].update(sides)
    for length in (1000, 1001):
        yield (
            f"a name of {length} characters",
            lambda head, length=length: head.update(name="\N{GRINNING FACE}" * length),
        )
    for depth in (62, 63):
        deep: Any = []
        for _ in range(depth - 1):
            deep = [deep]
        yield f"source {depth + 1} deep", lambda head, deep=deep: head["source"].update(deep=deep)
    for name, values in (
        ("fit", ("crop", "squeeze")),
        ("resampling", ("lanczos", "magic")),
        ("channels", ("BGR",)),
    ):
        for value in values:
            yield setting(f"preparation.{name}", value)
    for name, values in (
        ("size", (11, 13)),
        ("start_id", (-1, 12, 2, None, "1")),
        ("end_id", (0, 1)),
        ("padding_id", (None, 99)),
        ("unknown_id", (None, 0)),
        ("never_said", ([], [2], [50], ["a"], None)),
        ("attach_left", ([], [1], "s")),
    ):
        for value in values:
            yield setting(f"vocabulary.{name}", value)
    tensor = {"name": "h", "shape": [6], "dtype": "float32"}
    for state in (
        [],
        [{**tensor, "name": "a b"}],
        [{**tensor, "shape": []}],
        [{**tensor, "shape": [0]}],
        [{**tensor, "dtype": "int8"}],
        [tensor, {**tensor, "name": "c"}],
        [{**tensor, "shape": [1] * 8}],
        [{**tensor, "shape": [1] * 9}],
        [{**tensor, "shape": [2**22]}],
        [{**tensor, "shape": [2**11, 2**11 + 1]}],
        [{**tensor, "shape": [2**40, 2**40]}],
        {},
    ):
        yield setting("state", state)
    for count in (64, 65):
        tensors = [{**tensor, "name": f"h{number}"} for number in range(count)]
        yield f"{count} state tensors", setting("state", tensors)[1]
    for name, values in (
        ("beam", (0, 64, 65, 2.5)),
        ("length_penalty", (0, 10, 11, "a", -0.1)),
        ("min_words", (8, 9)),
        ("max_words", (0, 1001)),
        ("no_repeat_ngram", (-1,)),
        ("n_best", (0, 4)),
    ):
        for value in values:
            yield setting(f"defaults.{name}", value)


def manifests() -> dict[str, Any]:
    """Manifests, good and bad, and whether Python reads them."""
    entries = tiny().tiny_manifest().to_entries()
    head = json.loads(entries["edgecap.json"])
    text = entries["vocabulary.txt"].decode()
    cases = []
    for name, change in changes():
        changed = json.loads(json.dumps(head))
        change(changed)
        cases.append({"change": name, "head": changed, "legal": reads(changed, text)})
    vocabularies = {
        "a word twice": text.replace("dog", "a"),
        "an empty word": text.replace("dog", ""),
        "white space": text.replace("dog", "d\u2003g"),
        "no last line end": text[:-1],
        "a word of 256 characters": text.replace("dog", "\N{GRINNING FACE}" * 256),
        "a word of 257 characters": text.replace("dog", "g" * 257),
        "nothing": "",
    }
    return {
        "head": head,
        "cases": cases,
        "vocabularies": [
            {"change": name, "text": changed, "legal": reads(head, changed)}
            for name, changed in vocabularies.items()
        ],
        "joined": [
            {"words": words, "text": tiny().tiny_vocabulary().join(words)}
            for words in (["a", "dog", "'s", "ball"], ["'s"], [], ["a", "'s", "'s", "a"])
        ],
    }


def reads(head: dict[str, Any], text: str, check: dict[str, Any] | None = None) -> bool:
    entries = {"edgecap.json": json.dumps(head).encode(), "vocabulary.txt": text.encode()}
    if check is not None:
        entries["check.json"] = json.dumps(check).encode()
    try:
        _ = Manifest.from_entries(entries).check
    except EdgecapError:
        return False
    return True


class Pictured:
    """Markov models, of which a picture's pixels choose one: a backend in whole 1/256s."""

    def __init__(self, logits: np.ndarray) -> None:
        self._logits = logits.astype(np.float32)

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        weights = np.arange(image.size, dtype=np.int64) % 251 + 1
        chosen = int((image.ravel() * weights).sum()) % len(self._logits)
        return {"h": np.full((1, 6), chosen, np.float32)}

    def step(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        return self._logits[state["h"][:, 0].astype(int), ids], state

    def close(self) -> None:
        pass


def checks() -> dict[str, Any]:
    """A file's check of itself: what machines answer that are right, a little and very wrong."""
    from edgecap_runtime.check_entry import CheckPicture, KerasAnswer, SelfCheck, pack_picture
    from edgecap_runtime.checking import Machine, measure

    words = len(tiny().WORDS)
    random = np.random.default_rng(23)
    pixels = [noise(64, 64, 3, first) // side * side for first, side in ((0, 1), (9, 16), (77, 64))]
    machine = Machine("a processor", "x86_64", "AVX512-VNNI", "onnxruntime 1.32.0", 2)
    models = []
    for _ in range(2):
        plain = np.round(random.normal(0, 1.5, (5, words, words)) * 256) / 256
        plain[:, :, 2] += 1  # so that captions end
        manifest = tiny().tiny_manifest()
        pictures = []
        for place, picture in enumerate(pixels):
            ids = tuple(int(word) for word in random.integers(4, words, 3 if place else 8))
            scores = tuple(-round(float(value), 6) for value in random.uniform(0, 3, len(ids)))
            keras = KerasAnswer(ids, scores if place == 0 else (*scores, -0.5))
            said = measure(Pictured(plain), manifest, picture, keras)
            name, rgb = f"picture {place}", pack_picture(picture)
            pictures.append(CheckPicture(name, rgb, keras, said.answer))
        check = SelfCheck(0.3, machine, tuple(pictures))
        carried = replace(manifest, check_json=check.to_json()).check
        noisy = np.round(random.normal(0, 0.02, plain.shape) * 256) / 256
        broken = plain.copy()
        broken[:, :, 7] = np.nan
        answers = []
        for name, table, tolerance in (
            ("the same", plain, 0.001),
            ("a little noise", plain + noisy, 0.5),
            ("noise above the tolerance", plain + noisy, 0.01),
            ("much noise", plain + 40 * noisy, 0.3),
            ("much noise, all allowed", plain + 40 * noisy, 1000.0),
            ("not finite", broken, 0.3),
        ):
            allowed = replace(carried, tolerance=tolerance)
            here = replace(manifest, check_json=allowed.to_json())
            result = Captioner(here, Pictured(table)).check().to_dict()
            del result["here"], result["exported_on"]
            if result["largest"] is not None and result["largest"] < 1e-4:
                # Rounding, which is another one elsewhere.
                result["sentence"] = re.sub(r"within \S+", "within ...", result["sentence"])
            # No NaN in JSON.
            logits = np.where(np.isnan(table), None, table).tolist()
            answers.append(
                {"name": name, "tolerance": tolerance, "logits": logits, "result": result}
            )
        models.append({"check": json.loads(carried.to_json()), "answers": answers})
    good = models[0]["check"]
    entries = []
    for path, value in (
        ("size", 32),
        ("size", None),
        ("tolerance", 0),
        ("tolerance", "x"),
        ("machine", {}),
        ("machine.threads", None),
        ("machine.threads", "two"),
        ("machine.processor", 3),
        ("pictures", []),
        ("pictures", [good["pictures"][0]] * 8),
        ("pictures", [good["pictures"][0]] * 9),
        ("pictures.0.name", 1),
        ("pictures.0.rgb", "A" * 20_001),
        ("pictures.0.keras.ids", [4]),
        ("pictures.0.keras.ids", [12] * 8),
        ("pictures.0.keras.ids", [-1] * 8),
        ("pictures.0.keras.log_probabilities", []),
        ("pictures.0.exported.at_prefixes", []),
        ("pictures.0.exported.gaps", []),
        ("pictures.0.exported.gaps", ["1"]),
        ("from_the_future", 1),
    ):
        changed = json.loads(json.dumps(good))
        target = changed
        *parents, last = path.split(".")
        for parent in parents:
            target = target[int(parent) if parent.isdecimal() else parent]
        target[last] = value
        head, text = _tiny_entries()
        said_so = f"{path} = {str(value)[:20]}"
        entries.append({"change": said_so, "check": changed, "legal": reads(head, text, changed)})
    return {"models": models, "entries": entries}


def _tiny_entries() -> tuple[dict[str, Any], str]:
    entries = tiny().tiny_manifest().to_entries()
    return json.loads(entries["edgecap.json"]), entries["vocabulary.txt"].decode()


def tiny() -> Any:
    """Give the tests' tiny captioner, a module beside the runtime's tests."""
    import importlib.util
    import sys

    name = "edgecap_tiny"
    if name not in sys.modules:
        path = ROOT / "tests" / "runtime" / "tiny.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


TINY = ("step", "fixed", "bare")


def write_tiny(folder: Path) -> None:
    """Write the tiny captioner's files: a step, and both of its prefix graphs."""
    from edgecap_export import flatbuffer
    from edgecap_runtime.bundle import write_bundle

    for name in TINY:
        prefix = tiny().PREFIXES.get(name)
        ids = (None,) if prefix is None else (None, prefix.length)
        path = folder / f"tiny-{name}.tflite"
        tiny().write_tflite(
            tiny().TinyModel.random(),
            path,
            first="step" if prefix is None else "prefix",
            ids=ids,
        )
        model = flatbuffer.read(path.read_bytes())
        flatbuffer.drop_row_signatures(model)
        path.write_bytes(flatbuffer.write(model))
        for left in sorted(path.with_suffix(".saved").rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
        path.with_suffix(".saved").rmdir()
        manifest = tiny().tiny_manifest()
        if prefix is not None:
            manifest = replace(manifest, kind="prefix", prefix=prefix)
        write_bundle(path, manifest, path)


def said(captioner: Captioner, photo: Photo, searches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give what a captioner says of a photograph, by each search."""
    pixels = prepare(photo, captioner.manifest.preparation)
    captions = []
    for choices in searches:
        caption = captioner.caption(photo, **choices)
        captions.append(
            {
                "options": choices_in_javascript(choices),
                "found": [
                    {
                        "text": item.text,
                        "ids": item.ids,
                        "log_probability": item.log_probability,
                        "score": item.score,
                    }
                    for item in (caption, *caption.alternatives)
                ],
            }
        )
    return {"sha256": sha256(pixels), "captions": captions}


def tiny_captions(folder: Path) -> dict[str, Any]:
    cases = []
    for name in TINY:
        with Captioner.load(folder / f"tiny-{name}.tflite", threads=1) as captioner:
            for first in range(0, 60, 5):
                # Noise of one colour more than the others, so that captions differ.
                array = (noise(20, 30, 3, first) // 2) + np.array(
                    [first * 2, 120 - first, first], np.uint8
                )
                cases.append(
                    {
                        "file": f"tiny-{name}.tflite",
                        "first": first,
                        **said(captioner, array, SEARCHES),
                    }
                )
    return {"width": 20, "height": 30, "cases": cases}


def checksums() -> dict[str, Any]:
    """The CRC-32 of noise of many lengths, and of parts that begin anywhere."""
    sizes = (*range(20), 255, 1000, 65_537)
    return {
        "cases": [
            {
                "size": size,
                "first": first,
                "crc32": zlib.crc32(noise(size, 1, 1, first).tobytes()),
            }
            for size in sizes
            for first in (0, 77)
        ]
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "resampling": lambda folder: resampling(),
    "samples": lambda folder: samples(),
    "pictures": lambda folder: pictures(folder / "pictures"),
    "decoding": lambda folder: decoding(),
    "manifests": lambda folder: manifests(),
    "checks": lambda folder: checks(),
    "tiny": tiny_captions,
    "checksums": lambda folder: checksums(),
}
"""The committed JSON files by their names; each is made of the pictures and models in a folder."""


def variants() -> Iterable[tuple[str, Image.Image]]:
    """Give 112 pictures: each sample and seven views of it."""
    for path in sorted(SAMPLES.glob("*.jpg")):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = image.size
        halves = {
            "left": (0, 0, width * 2 // 3, height),
            "right": (width // 3, 0, width, height),
            "top": (0, 0, width, height * 2 // 3),
            "bottom": (0, height // 3, width, height),
            "middle": (width // 6, height // 6, width * 5 // 6, height * 5 // 6),
        }
        yield path.stem, image
        yield f"{path.stem}-mirrored", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield f"{path.stem}-dark", image.point(lambda value: value // 2)
        for name, box in halves.items():
            yield f"{path.stem}-{name}", image.crop(box)


def write_models(folder: Path) -> None:
    """Export captioners in the box and tiny ones, and write what they say of pictures."""
    from click.testing import CliRunner

    from edgecap.cli import main
    from edgecap_export import recipe_named

    folder.mkdir(parents=True, exist_ok=True)
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    for name, image in variants():
        image.save(photos / f"{name}.png")
    for captioner, recipe in (
        ("mobilenet-lstm", "static-int8"),
        ("mobilenet-lstm", "dynamic-int8"),
        ("mobilenet-attention", "static-int8"),
    ):
        path = folder / f"{captioner}-{recipe}.tflite"
        options = ["--calibrate", str(SAMPLES)] if recipe_named(recipe).calibrated else []
        words = ["export", captioner, "-o", str(path), "--quantize", recipe, *options]
        done = CliRunner().invoke(main, words)
        if done.exit_code:
            raise SystemExit(done.output)
        searches = ({"beam": 1}, {"beam": 3, "n_best": 3})
        with Captioner.load(path, threads=1) as loaded:
            cases = [
                {"photo": photo.name, **said(loaded, photo, searches)}
                for photo in sorted(photos.iterdir())
            ]
        write_json(path.with_suffix(".json"), {"file": path.name, "cases": cases})
    write_prefix_models(folder)
    (folder / "complete").touch()


def write_onnx_model(folder: Path) -> None:
    """Export the captioner in the box as .onnx with its search inside, with what it says."""
    from click.testing import CliRunner

    from edgecap.cli import main

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captioner.onnx"
    words = ["export", "mobilenet-lstm", "-o", str(path), "--quantize", "static-int8"]
    done = CliRunner().invoke(main, [*words, "--calibrate", str(SAMPLES), "--one-call"])
    if done.exit_code:
        raise SystemExit(done.output)
    with Captioner.load(path, threads=1) as captioner:
        photos = sorted(SAMPLES.glob("*.jpg"))
        captions = [captioner.caption(photo, beam=1) for photo in photos]
        manifest = captioner.manifest
    backend = open_backend(path, manifest, 1)
    cases = [
        {
            "photo": photo.name,
            "ids": caption.ids,
            "text": caption.text,
            "leads": leads(backend, prepare(photo, manifest.preparation), caption.ids, manifest),
        }
        for photo, caption in zip(photos, captions, strict=True)
    ]
    backend.close()
    write_json(folder / "captioner.json", {"file": path.name, "cases": cases})
    (folder / "complete").touch()


def leads(backend: Any, image: Any, ids: Sequence[int], manifest: Any) -> list[float]:
    """By how much each token of a greedy caption, the end included, leads the next allowed one."""
    vocabulary = manifest.vocabulary
    never = [*vocabulary.never_said, vocabulary.start_id]
    state, token, found = backend.encode(image), vocabulary.start_id, []
    for following in (*ids, vocabulary.end_id):
        logits, state = backend.step(np.array([token], np.int32), state)
        logits[0, never] = -np.inf
        second, first = np.sort(logits[0])[-2:]
        found.append(round(float(first - second), 4))
        token = following
    return found


def write_prefix_models(folder: Path) -> None:
    """Export the export tests' tiny LSTMs and BiLSTMs that read prefixes, with what they say."""
    import sys

    sys.path.insert(0, str(ROOT))
    from edgecap_export import Prover, export
    from tests.export.conftest import photographs, trained
    from tests.export.prefix_decoders import Bidirectional, Padded

    photos = sorted((folder / "photos").glob("*-middle.png"))
    for make in (Bidirectional, Padded):
        source = trained(make)
        prover = Prover(source, photographs(10))
        for recipe in ("float32", "dynamic-int8"):
            path = folder / f"{make.name}-{recipe}.tflite"
            export(source, path, recipe=recipe, prover=prover, gate=False)
            with Captioner.load(path, threads=1) as captioner:
                cases = [
                    {"photo": photo.name, **said(captioner, photo, SEARCHES)} for photo in photos
                ]
            write_json(path.with_suffix(".json"), {"file": path.name, "cases": cases})


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder for exported captioners")
    parser.add_argument("--onnx", type=Path, help="folder for the .onnx one")
    chosen = parser.parse_args()
    if chosen.models is not None:
        write_models(chosen.models)
    if chosen.onnx is not None:
        write_onnx_model(chosen.onnx)
    if chosen.models is not None or chosen.onnx is not None:
        return
    GOLDEN.mkdir(exist_ok=True)
    write_pictures(GOLDEN / "pictures")
    write_tiny(GOLDEN)
    for name, make in PARTS.items():
        write_json(GOLDEN / f"{name}.json", make(GOLDEN))


if __name__ == "__main__":
    main()
