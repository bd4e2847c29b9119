"""Makes a file say given words, with the runtime alone: `python forced.py FILE WORDS.npz OUT.npz`.

It runs on emulated processors, where TensorFlow would take hours.

WORDS.npz: `pixels`, uint8 [images, H, W, 3], prepared; `words`, int32 [images, T] with -1 behind a
caption's end. OUT.npz: `logits`, float32 [images, T + 1, V], after the start and after each word;
`same`, bool [images], whether the search inside the file says what its steps say (True without
one).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgecap_runtime.backends import open_backend
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.decoding import decode, read_words


def main(file: Path, given: Path, out: Path) -> None:
    with np.load(given) as saved:
        pixels, words = saved["pixels"], saved["words"]
    manifest = read_manifest(file)
    backend = open_backend(file, manifest, threads=1)
    logits = np.zeros((*words.shape, len(manifest.vocabulary)), np.float32)
    logits = np.concatenate([logits[:, :1], logits], axis=1)
    same = np.ones(len(pixels), bool)
    for image, picture in enumerate(pixels):
        first = state = backend.encode(picture)
        for index, word in enumerate([manifest.vocabulary.start_id, *words[image]]):
            if word < 0:
                break
            answer, state = backend.step(np.array([word], np.int32), state)
            logits[image, index] = answer[0]
        if manifest.greedy is not None:
            options = manifest.greedy.options()
            steps = decode(backend.step, first, manifest.vocabulary, options)[0]
            found = read_words(backend.greedy(first), options)
            same[image] = found is None or found.ids == steps.ids
    np.savez(out, logits=logits, same=same)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
