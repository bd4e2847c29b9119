"""What the commands' options share: how they are read, and the choices of decoding."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from .errors import OptionError

__all__ = [
    "DECODING",
    "Parser",
    "add_captioner",
    "add_decoding",
    "decoding_of",
    "duration",
    "number",
    "whole",
]

DECODING = ("beam", "length_penalty", "min_words", "max_words", "no_repeat_ngram", "n_best")
"""The options of `add_decoding`, as `DecodingOptions` names them."""

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*")
_LONGEST_S = 7 * 24 * 3600.0

Reader = Callable[[str], Any]


class Parser(argparse.ArgumentParser):
    """Answers a wrong command line with one sentence, like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raise `OptionError` with what argparse says."""
        raise OptionError(f"{message}; see: {self.prog} --help")


def whole(option: str) -> Reader:
    """Give what reads an option's whole number; raises `OptionError` for another text."""
    return _reader(int, "a whole number", option)


def number(option: str) -> Reader:
    """Give what reads an option's number; raises `OptionError` for another text."""
    return _reader(float, "a number", option)


def duration(option: str) -> Reader:
    """Give what reads a time like 500ms, 1s, 2m or 0.5 to seconds; raises `OptionError`."""

    def read(text: str) -> float:
        found = _DURATION.fullmatch(text.lower())
        seconds = float(found[1]) * _UNITS.get(found[2], math.nan) if found else math.nan
        if not 0 <= seconds <= _LONGEST_S:
            raise OptionError(
                f"{option} is {text!r}; give a time from 0 to 7 days, like 500ms, 1s, 2m or 1h."
            )
        return seconds

    return read


def _reader(kind: Callable[[str], Any], meaning: str, option: str) -> Reader:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise OptionError(f"{option} is {text!r}; give {meaning}.") from None

    return read


def add_captioner(parser: argparse.ArgumentParser) -> None:
    """Add the captioner's file and the interpreter's threads."""
    parser.add_argument("file", metavar="FILE", help="the captioner, a .tflite or .onnx file")
    parser.add_argument(
        "--threads",
        type=whole("--threads"),
        metavar="N",
        help="threads of the interpreter (all cores, at most 4)",
    )


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """Add the options of decoding; those not given are the file's own."""
    parser.add_argument(
        "--beam", type=whole("--beam"), metavar="N", help="width of the beam; 1 is greedy"
    )
    parser.add_argument(
        "--length-penalty",
        type=number("--length-penalty"),
        metavar="A",
        help="rank by log probability / length ** A; 0 favours short captions",
    )
    parser.add_argument(
        "--min-words", type=whole("--min-words"), metavar="N", help="fewest words of a caption"
    )
    parser.add_argument(
        "--max-words", type=whole("--max-words"), metavar="N", help="most words of a caption"
    )
    parser.add_argument(
        "--no-repeat-ngram",
        type=whole("--no-repeat-ngram"),
        metavar="N",
        help="never say a sequence of N words twice; 0 allows it",
    )
    parser.add_argument(
        "--n-best", type=whole("--n-best"), metavar="N", help="captions per photograph, <= beam"
    )


def decoding_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Give the chosen options of decoding, None where the file's own are wanted."""
    return {name: getattr(chosen, name) for name in DECODING}
