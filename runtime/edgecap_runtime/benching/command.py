"""The command `edgecap-runtime bench`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from typing import Any

from ..arguments import add_captioner, whole
from ..errors import OptionError

__all__ = ["add_bench"]

_LEAST_CAPTIONS = 30
_MOST_ROUNDS = 100_000


def add_bench(commands: Any) -> None:
    """Add `bench` to a parser's commands."""
    bench = commands.add_parser(
        "bench",
        help="time a captioner on this machine",
        description="Time a captioner on this machine: load, preparation, encoder, words, memory. "
        "Without photographs it captions a generated picture; what is said isn't judged here.",
    )
    add_captioner(bench)
    bench.add_argument("--photos", metavar="DIR", help="a folder of photographs to caption")
    bench.add_argument(
        "--beam", type=whole("--beam"), default=1, metavar="N", help="width of the beam (1)"
    )
    bench.add_argument(
        "--rounds",
        type=whole("--rounds"),
        metavar="N",
        help=f"rounds over all photographs (as many as give {_LEAST_CAPTIONS} captions)",
    )
    bench.add_argument("--json", action="store_true", help="print the report as JSON")
    bench.set_defaults(run=_bench)


def _bench(chosen: argparse.Namespace) -> int:
    from PIL import Image

    from ..backends import default_threads
    from ..bundle import read_manifest
    from .measure import measure
    from .report import as_lines, make_report

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    manifest = read_manifest(chosen.file)
    manifest.decoding(beam=chosen.beam)
    photos, said = _photographs(chosen.photos)
    rounds = chosen.rounds
    if rounds is None:
        rounds = -(-_LEAST_CAPTIONS // len(photos))
    elif not 1 <= rounds <= _MOST_ROUNDS:
        raise OptionError(f"rounds is {rounds}; give a whole number from 1 to {_MOST_ROUNDS}.")
    threads = default_threads() if chosen.threads is None else chosen.threads
    measured = measure(
        chosen.file,
        photos,
        threads=threads,
        beam=chosen.beam,
        rounds=rounds,
        progress=_progress,
    )
    report = make_report(
        chosen.file,
        manifest,
        measured,
        photos=said,
        threads=threads,
        beam=chosen.beam,
        rounds=rounds,
    )
    if chosen.json:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        print("\n".join(as_lines(report, measured)))
    return 0


def _photographs(folder: str | None) -> tuple[list[str | bytes], dict[str, Any]]:
    """Give the photographs, and what the report says of them."""
    from ..photos import photographs_in

    if folder is None:
        from .photographs import SYNTHETIC_NAME, synthetic_photograph

        return [synthetic_photograph()], {"source": SYNTHETIC_NAME, "count": 1, "names": []}
    paths = photographs_in(folder)
    names = [path.replace("\\", "/").rpartition("/")[2] for path in paths]
    return [*paths], {"source": "a folder", "count": len(paths), "names": names}


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rround {done} of {total}", end=end, file=sys.stderr, flush=True)
