"""The command `edgecap-runtime`: caption, watch a camera, show a file, check it, time it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .arguments import Parser, add_captioner, add_decoding, decoding_of
from .benching.command import add_bench
from .errors import EdgecapError, ImageError
from .photos import photographs_in
from .watching.command import add_watch

if TYPE_CHECKING:
    from .captioner import Alternative, Caption

__all__ = ["main"]

_FAULT_STATUS = 1
_ERROR_STATUS = 2


def main(
    arguments: Sequence[str] | None = None,
    prog: str = "edgecap-runtime",
    find: Callable[[str], str] | None = None,
) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; by default the process's own.
        prog: the program's name, for its help.
        find: gives the path of the file that is meant by what stands in FILE's place, where that
            may be more than a path.

    Returns:
        Its exit status, 2 after `error: <sentence>` on standard error.
    """
    try:
        chosen = _parser(prog).parse_args(arguments)
        if find is not None:
            chosen.file = find(chosen.file)
        status: int = chosen.run(chosen)
        sys.stdout.flush()
        return status
    except EdgecapError as error:
        return _complain(error)
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is wrong, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _complain(error: EdgecapError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return _ERROR_STATUS


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog,
        description="Caption photographs with a captioner's file (.tflite or .onnx).",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    caption = commands.add_parser(
        "caption",
        help="caption photographs",
        description="Caption photographs, one line each. Options not given are the file's own.",
    )
    add_captioner(caption)
    caption.add_argument("photos", metavar="PHOTO", nargs="+", help="photographs or folders")
    add_decoding(caption)
    caption.add_argument("--json", action="store_true", help="print a JSON list for programs")
    caption.set_defaults(run=_caption)
    show = commands.add_parser(
        "show",
        help="print what a file says of itself",
        description="Print all that a captioner's file says of itself: vocabulary, preparation, "
        "decoding, what quantization made of each part, the comparison with Keras. No interpreter "
        "is needed.",
    )
    show.add_argument("file", metavar="FILE", help="the captioner, a .tflite or .onnx file")
    show.add_argument("--json", action="store_true", help="print JSON for programs, nothing cut")
    show.set_defaults(run=_show)
    check = commands.add_parser(
        "check",
        help="tell whether a file says here what it said where it was exported",
        description="Caption the small pictures that a captioner's file carries, and compare with "
        "what the file said on the machine that exported it. Exit status 0 if it says the same, 1 "
        "if not; 0 too, and no word of success, for an older file that carries no pictures.",
    )
    add_captioner(check)
    check.add_argument("--json", action="store_true", help="print JSON for programs")
    check.set_defaults(run=_check)
    add_watch(commands)
    add_bench(commands)
    return parser


def _caption(chosen: argparse.Namespace) -> int:
    from PIL import Image

    from .captioner import Captioner

    # Pillow's warning about big pictures: they are captioned, or refused with a sentence.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    photos = list(_photographs(chosen.photos))
    options = decoding_of(chosen)
    answers: list[dict[str, Any]] = []
    status = 0
    with Captioner.load(chosen.file, chosen.threads) as captioner:
        captioner.manifest.decoding(**options)
        for photo in photos:
            try:
                caption = captioner.caption(photo, **options)
            except ImageError as error:
                # One bad photograph doesn't take the others' captions away.
                status = _complain(error)
                answers.append({"photo": photo, "error": str(error)})
                continue
            answers.append({"photo": photo, **_caption_as_json(caption)})
            if not chosen.json:
                for found in (caption, *caption.alternatives):
                    print(f"{photo}: {found.text}", flush=True)
    if chosen.json:
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    return status


def _photographs(given: Sequence[str]) -> Iterator[str]:
    for path in given:
        if not os.path.isdir(path):
            yield path
            continue
        yield from photographs_in(path)


def _caption_as_json(caption: Caption) -> dict[str, Any]:
    timings = {**asdict(caption.timings), "per_step": caption.timings.per_step}
    return {
        **_alternative_as_json(caption),
        "timings_ms": {
            name: value if name == "steps" else round(value, 3) for name, value in timings.items()
        },
        "alternatives": [_alternative_as_json(other) for other in caption.alternatives],
    }


def _alternative_as_json(found: Alternative) -> dict[str, Any]:
    return {
        "text": found.text,
        "words": list(found.words),
        "ids": list(found.ids),
        "log_probability": found.log_probability,
        "score": found.score,
    }


def _check(chosen: argparse.Namespace) -> int:
    from .captioner import Captioner

    with Captioner.load(chosen.file, chosen.threads) as captioner:
        result = captioner.check()
    if chosen.json:
        print(json.dumps(result.to_dict(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(result.lines()))
    return _FAULT_STATUS if result.passed is False else 0


def _show(chosen: argparse.Namespace) -> int:
    from .bundle import read_model
    from .describing import describe

    file = read_model(chosen.file)
    if chosen.json:
        whole = asdict(file.manifest)
        # The pictures' pixels say nothing to a reader.
        del whole["check_json"]
        carried = file.manifest.check
        whole["check"] = None if carried is None else carried.summary()
        whole["checksum"] = "right" if file.checksummed else None
        print(json.dumps(whole, indent=1, ensure_ascii=False))
    else:
        print("\n".join(describe(file)))
    return 0
