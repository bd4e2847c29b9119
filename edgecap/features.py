"""Encoder features, computed once for each image and kept on disk.

The cache is keyed by everything the features depend on: the encoder's weights, the preparation,
the versions that decode and compute, and each image's bytes. A key that changes is another folder,
so a stale feature can't be read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from edgecap.files import make_folder
from edgecap.views import AS_THEY_ARE, ViewOfEach
from edgecap_runtime.atomic import replacing
from edgecap_runtime.preparation import Preparation, prepare

_SHARD = 1024
_BATCH = 32

Progress = Callable[[int, int], None]


def default_cache() -> Path:
    """Where features are kept unless the user names a folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgecap" / "features"


def image_features(
    encoder: Any,
    preparation: Preparation,
    paths: Sequence[Path],
    *,
    view: ViewOfEach = AS_THEY_ARE,
    cache: Path | None = None,
    progress: Progress | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Compute or read the features of images.

    They can be larger than half the memory (maps that a decoder attends to: 7 GB of Flickr8k by
    InceptionV3), so they are read into their place, a shard at a time.

    Args:
        encoder: `keras.Model` from pixels [N, H, W, 3] in 0..255 to features [N, F].
        preparation: how each photograph becomes pixels.
        paths: the images, all readable.
        view: what is seen of each image.
        cache: folder of the cache; None is `default_cache()`.
        progress: called with (images done, images in all).
        out: float32 [len(paths), F] to write them to; None makes one.

    Returns:
        `out`, in the order of `paths`.

    Raises:
        ImageError: an image can't be read.
        EdgecapError: the cache can't be written.
    """
    folder = (cache or default_cache()) / _encoder_key(encoder, preparation)
    folder = folder.with_name(folder.name + view.name)
    known = _known(folder)
    keys = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in paths]
    wanted = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
    missing = list(wanted.items())
    done = len(paths) - len(missing)
    for first in range(0, len(missing), _SHARD):
        shard: dict[str, np.ndarray] = {}
        part = missing[first : first + _SHARD]
        for start in range(0, len(part), _BATCH):
            batch = part[start : start + _BATCH]
            pixels = np.stack([view.of(key).pixels(path, preparation) for key, path in batch])
            shard.update(zip((key for key, _ in batch), _encode(encoder, pixels), strict=True))
            done += len(batch)
            if progress:
                progress(done, len(paths))
        _write(folder, shard)
    if progress:
        progress(len(paths), len(paths))
    return _read(folder, keys, out)


def features_now(encoder: Any, preparation: Preparation, paths: Sequence[Path]) -> np.ndarray:
    """Compute the features of images whole, past the cache: for an encoder that goes on changing.

    As `image_features`, whose encoder is the same for as long as its cache is of use.
    """
    batches = (paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH))
    return np.concatenate(
        [_encode(encoder, np.stack([prepare(path, preparation) for path in b])) for b in batches]
    )


def _encode(encoder: Any, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(encoder.predict_on_batch(pixels.astype(np.float32)), np.float32)


def _encoder_key(encoder: Any, preparation: Preparation) -> str:
    digest = hashlib.sha256()
    for array in encoder.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    versions = {"pillow": PIL.__version__, "layout": 1}
    about = [_graph_of(encoder), dataclasses.asdict(preparation), versions]
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def _graph_of(encoder: Any) -> str:
    """Give the graph as JSON, the same whichever models were built before in this process.

    Keras numbers the layers that nobody named through the whole process, class by class.
    """
    graph: str = encoder.to_json()
    numbered: dict[str, tuple[str, int]] = {}
    first: dict[str, int] = {}
    for layer in _layers_of(json.loads(graph)):
        name = layer["config"]["name"]
        kind, number = _split_number(name)
        # An underscore stands where the class has a capital letter: BatchNormalization's.
        if kind.replace("_", "") == layer["class_name"].lower():
            numbered[name] = (kind, number)
            first[kind] = min(number, first.get(kind, number))

    def alone(match: re.Match[str]) -> str:
        if match[1] not in numbered:
            return match[0]
        kind, number = numbered[match[1]]
        left = number - first[kind]
        return f'"{kind}_{left}"' if left else f'"{kind}"'

    return re.sub(r'"(\w+)"', alone, graph)


def _layers_of(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give what a model's JSON says of its layers, and of those of models among them."""
    for layer in model["config"].get("layers", ()):
        yield layer
        yield from _layers_of(layer)


def _split_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if number.isdecimal() else (name, 0)


def _known(folder: Path) -> set[str]:
    """Give the keys of all images whose features are kept."""
    known: set[str] = set()
    for path in folder.glob("*.npz"):
        with np.load(path) as shard:
            known.update(shard["keys"].tolist())
    return known


def _read(folder: Path, keys: Sequence[str], out: np.ndarray | None) -> np.ndarray:
    """Read the features of `keys`, all of them kept, to the rows of `out`; None makes one."""
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as shard:
            held = [(place, key) for place, key in enumerate(shard["keys"].tolist()) if key in rows]
            if held:
                features = shard["features"]
                if out is None:
                    out = np.empty((len(keys), *features.shape[1:]), np.float32)
                for place, key in held:
                    out[rows[key]] = features[place]
    if out is None:
        raise ValueError("no images were given")
    return out


def _write(folder: Path, shard: dict[str, np.ndarray]) -> None:
    keys = sorted(shard)
    name = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
    with replacing(make_folder(folder) / f"{name}.npz") as stream:
        np.savez(stream, keys=np.array(keys), features=np.stack([shard[key] for key in keys]))
