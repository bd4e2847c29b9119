"""The command `edgecap-runtime watch`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..arguments import add_captioner, add_decoding, decoding_of, duration, whole
from ..errors import OptionError

if TYPE_CHECKING:
    from .loop import Sighting, Totals
    from .sources import Source

__all__ = ["add_watch"]

_MOST_BACKLOG = 10_000
_STDOUT = "-"
_FAULT_STATUS = 1


def add_watch(commands: Any) -> None:
    """Add `watch` to a parser's commands."""
    watch = commands.add_parser(
        "watch",
        help="caption a camera, or photographs that fall into a folder",
        description="Caption a camera, or photographs that fall into a folder, until SIGTERM or "
        "Ctrl-C. Pictures that come too fast are let go. Options not given are the file's own.",
    )
    add_captioner(watch)
    watch.add_argument(
        "--camera",
        required=True,
        metavar="CAMERA",
        help="a number (the Pi's own camera by picamera2, a webcam by OpenCV; picamera2:N and "
        "opencv:N say which), /dev/video0, rtsp://..., http://..., a folder, or a FIFO of JPEGs",
    )
    watch.add_argument(
        "--every",
        type=duration("--every"),
        metavar="TIME",
        help="time from caption to caption, like 500ms or 1s (1s; a folder's photographs as they "
        "come)",
    )
    watch.add_argument(
        "--on-change",
        action="store_true",
        help="caption only what differs from the picture captioned before",
    )
    watch.add_argument(
        "--jsonl", metavar="PATH", help="append a JSON record a line; - is standard output"
    )
    watch.add_argument(
        "--backlog",
        type=whole("--backlog"),
        metavar="N",
        help="pictures that may wait, the oldest beyond are let go (1; 16 in a folder)",
    )
    watch.add_argument(
        "--check",
        action="store_true",
        help="let the file check itself first; don't start (exit status 1) if it doesn't say here "
        "what it said where it was exported",
    )
    add_decoding(watch)
    watch.set_defaults(run=_watch)


def _watch(chosen: argparse.Namespace) -> int:
    from PIL import Image

    from ..captioner import Captioner
    from .lines import FileLines, Lines, StreamLines
    from .loop import Choices, watch
    from .sources import open_source
    from .stopping import Stop, Wakeups, stopped_by_signals

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    backlog = chosen.backlog
    if backlog is not None and not 1 <= backlog <= _MOST_BACKLOG:
        raise OptionError(f"backlog is {backlog}; give a whole number from 1 to {_MOST_BACKLOG}.")
    wakeups = Wakeups()
    stop = Stop(wakeups)
    # From here on a signal is an end like any other.
    with stopped_by_signals(stop):
        source = open_source(chosen.camera)
        choices = Choices(
            source.every if chosen.every is None else chosen.every,
            chosen.on_change,
            source.backlog if backlog is None else backlog,
            decoding_of(chosen),
        )
        # Straight to the descriptor: what a full disk refuses must not stay in a buffer.
        out: Lines = StreamLines("standard output", sys.stdout.fileno(), _say)
        record: Lines | None = None
        if chosen.jsonl not in (None, _STDOUT):
            record = FileLines(chosen.jsonl, _say)
        show = _shower(source, out, record, as_json=chosen.jsonl == _STDOUT)
        with Captioner.load(chosen.file, chosen.threads) as captioner:
            if chosen.check:
                result = captioner.check()
                for line in result.lines():
                    _say(line)
                if result.passed is False:
                    return _FAULT_STATUS
            totals = watch(
                captioner, source, choices, show=show, say=_say, stop=stop, wakeups=wakeups
            )
    _say(_summary(totals))
    if totals.hung:
        # A driver that hangs can't be waited for, nor be torn down safely while it runs.
        sys.stdout.flush()
        os._exit(0)
    return 0


def _shower(source: Source, out: Any, record: Any, *, as_json: bool) -> Callable[[Sighting], None]:
    def show(seen: Sighting) -> None:
        fields = seen.as_json()
        line = json.dumps(fields, ensure_ascii=False)
        if record is not None:
            record.write(line)
        if as_json:
            out.write(line)
        elif seen.error is not None:
            _say(f"error: {seen.error}")
        else:
            place = f"{seen.photo}: " if seen.photo else ""
            out.write(f"{fields['time']} {place}{seen.text}")

    return show


def _summary(totals: Totals) -> str:
    return (
        f"Stopped after {totals.captions} captions; {totals.unchanged} pictures showed nothing "
        f"new, {totals.passed_over} were passed over, {totals.unusable} could not be used."
    )


def _say(sentence: str) -> None:
    # Standard error may go to the full disk of which it tells.
    with suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)
