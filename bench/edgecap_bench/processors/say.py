"""Captions prepared pictures with a file, on whatever processor this is run:

    python -P say.py FILE PICTURES.npy WORDS.json FOLDER COUNT THREADS

PICTURES.npy: uint8 [images, H, W, 3]; WORDS.json: for each image the word ids that are fed, as
Keras says them. The first COUNT images are taken. FOLDER gets logits.npy, float32 [rows, V]: for
each image the answers after the start id and after each of its words; and last, when all went well,
said.json: {"ids": [[...], ...], "log_probabilities": [...], "encode_ms": [...],
"caption_ms": [...]}, a value an image.

Takes numpy, the runtime and its interpreter alone: it runs where there is nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import Hypothesis, decode, read_words

if TYPE_CHECKING:
    from edgecap_runtime.backends import Backend, SearchingBackend
    from edgecap_runtime.manifest import Manifest

__all__: list[str] = []


def main(file: str, pictures: str, words: str, folder: str, count: str, threads: str) -> None:
    """Caption, feed the words, and write both."""
    fed = json.loads(Path(words).read_text("utf-8"))[: int(count)]
    images = np.load(pictures, mmap_mode="r")
    manifest = read_manifest(file)
    backend = open_backend(file, manifest, int(threads))
    said: dict[str, list[Any]] = {
        name: [] for name in ("ids", "log_probabilities", "encode_ms", "caption_ms")
    }
    logits = []
    try:
        for image, prefix in zip(images, fed, strict=False):
            begun = perf_counter()
            state = backend.encode(np.ascontiguousarray(image))
            encoded = perf_counter()
            caption = _greedy(backend, manifest, state)
            done = perf_counter()
            said["ids"].append(list(caption.ids))
            said["log_probabilities"].append(caption.log_probability)
            said["encode_ms"].append((encoded - begun) * 1e3)
            said["caption_ms"].append((done - begun) * 1e3)
            for word in (manifest.vocabulary.start_id, *prefix):
                answer, state = backend.step(np.array([word], np.int32), state)
                logits.append(answer)
    finally:
        backend.close()
    np.save(Path(folder) / "logits.npy", np.concatenate(logits))
    (Path(folder) / "said.json").write_text(json.dumps(said), "utf-8")


def _greedy(backend: Backend, manifest: Manifest, state: Any) -> Hypothesis:
    """Caption as the runtime does: by the search inside the file where there is one."""
    if manifest.greedy is not None:
        words = cast("SearchingBackend", backend).greedy(state)
        found = read_words(words, manifest.greedy.options())
        if found is not None:
            return found
    options = manifest.defaults.changed(beam=1)
    return decode(backend.step, state, manifest.vocabulary, options)[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
