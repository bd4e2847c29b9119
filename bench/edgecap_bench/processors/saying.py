"""Runs a file on a processor, and reads what it said."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgecap_bench.emulation.processors import PROCESSORS, Processor
from edgecap_bench.processors.browser import BROWSER, SAY_JS, Browser
from edgecap_bench.processors.keras_side import KerasSide
from edgecap_export.reference import log_softmax
from edgecap_runtime.errors import OptionError

__all__ = ["PLACES", "Place", "RunError", "Said", "place_named", "say"]

Place: TypeAlias = Processor | Browser
"""Where a file can run."""

PLACES: dict[str, Place] = {**PROCESSORS, BROWSER.name: BROWSER}
"""By name."""

_SAY = Path(__file__).with_name("say.py")
_SHOWN = 300


class RunError(Exception):
    """A file didn't run to its end on a processor; the text is for its row."""


@dataclass(frozen=True)
class Said:
    """What a file said about the first images."""

    ids: tuple[tuple[int, ...], ...]
    """Word ids of each image's greedy caption, without start and end."""
    log_probabilities: tuple[float, ...]
    """Of each caption, its end included, nats."""
    equal_prefixes: NDArray[np.float64]
    """Log probabilities [rows, V] after Keras' words, in the order of `KerasSide.tokens`."""
    encode_ms: tuple[float, ...]
    """Time of the encoder, an image each; means nothing where the processor is emulated."""
    caption_ms: tuple[float, ...]
    """Time of encoder and greedy search."""


def place_named(name: str) -> Place:
    """Look a processor up; raises `OptionError` for an unknown name."""
    if name not in PLACES:
        raise OptionError(f"There is no processor {name!r}; choose among {', '.join(PLACES)}.")
    return PLACES[name]


def say(
    place: Place,
    file: Path,
    keras: KerasSide,
    folder: Path,
    *,
    images: int,
    threads: int,
    timeout_s: float,
) -> Said:
    """Caption the first images with a file on a processor, and feed Keras' words.

    folder: gets what it writes; threads: of the interpreter. Raises `RunError` where the program
    fails or takes longer than `timeout_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / "said.json"
    answer.unlink(missing_ok=True)
    words = [file.resolve(), keras.pictures, keras.words, folder.resolve(), images, threads]
    if isinstance(place, Browser):
        command = ["node", str(SAY_JS), *(str(word) for word in words)]
    else:
        command = place.python("-P", _SAY, *words)
    try:
        done = subprocess.run(
            command,
            env=place.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"no answer within {timeout_s:g} s, so it was ended") from None
    except OSError as problem:
        raise RunError(f"its process can't be started ({problem})") from None
    if done.returncode or not answer.exists():
        raise RunError(_death(done.returncode, done.stderr.splitlines()))
    said = json.loads(answer.read_text("utf-8"))
    return Said(
        ids=tuple(tuple(ids) for ids in said["ids"]),
        log_probabilities=tuple(said["log_probabilities"]),
        equal_prefixes=log_softmax(np.load(folder / "logits.npy")),
        encode_ms=tuple(said["encode_ms"]),
        caption_ms=tuple(said["caption_ms"]),
    )


def _death(status: int, lines: Sequence[str]) -> str:
    how = f"with exit status {status}"
    if status < 0:
        try:
            how = f"by {signal.Signals(-status).name}"
        except ValueError:
            how = f"by signal {-status}"
    # qemu warns of each feature that it can't play.
    said = [line.strip() for line in lines if line.strip() and ": warning: " not in line]
    return f"the process ended {how}{f': {said[-1][:_SHOWN]}' if said else ''}"
