"""Mutates captioners' files, captions by each in a process of its own, and counts what happens.

    python tests/fuzz/fuzz.py captioner.tflite captioner.onnx --mutations 10000 --seed 1

None may say other words, or the same words with another score; none may end in a traceback or a
signal, take more than 10 seconds, or more than 2 GiB of address space: the exit status is 1
where one does. With --checksummed-anew each mutated file gets the right checksum of its new
bytes, as an attacker would write it. Such files reach the interpreter, so whatever happens is
reported and no failure: a server must run them in a process of its own (docs/safety.md).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

# Its neighbours are modules of a script, not of a package.
sys.path.insert(0, str(Path(__file__).parent))

from attempts import OUTCOMES, REFUSED, SAME, Attempt, attempts, prepare_parent
from mutations import mutated

_KEPT = 20


@dataclass
class Tally:
    """What became of one file's mutations."""

    file: str
    """The file that was mutated."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each outcome was."""
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    """The same for each kind of mutation."""
    slowest_s: float = 0.0
    """The longest attempt in seconds."""
    peak_mb: float = 0.0
    """The largest resident memory of an attempt in MB."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    """The first attempts of each outcome but those that said the same or were refused."""

    def add(self, kind: str, attempt: Attempt) -> None:
        """Count one attempt."""
        self.outcomes[attempt.outcome] += 1
        self.by_kind.setdefault(kind, Counter())[attempt.outcome] += 1
        self.slowest_s = max(self.slowest_s, attempt.seconds)
        self.peak_mb = max(self.peak_mb, attempt.peak_mb)
        few = self.outcomes[attempt.outcome] <= _KEPT
        if attempt.outcome not in (SAME, REFUSED) and few:
            failure = {"mutation": attempt.number, "kind": kind, "outcome": attempt.outcome}
            self.failures.append({**failure, "detail": attempt.detail})

    @property
    def failed(self) -> int:
        """How many neither said the same nor were refused."""
        return sum(count for name, count in self.outcomes.items() if name not in (SAME, REFUSED))


def fuzz(tally: Tally, photo: bytes, chosen: argparse.Namespace) -> Iterator[int]:
    """Count what becomes of a file's mutations, and yield how many were tried so far.

    Raises `SystemExit` where the file itself does not caption.
    """
    file = Path(tally.file)
    original = file.read_bytes()
    kinds: dict[int, str] = {}

    def work() -> Iterator[tuple[int, bytes]]:
        for number in range(chosen.mutations):
            kinds[number], content = mutated(
                original, chosen.seed, number, checksum=chosen.checksummed_anew
            )
            yield number, content

    with tempfile.TemporaryDirectory(prefix="edgecap-fuzz-", dir=_memory_folder()) as name:
        folder = Path(name)
        [first] = attempts([(-1, original)], folder, photo, None, jobs=1)
        if first.answer is None:
            sys.exit(f"{file} itself does not caption: {first.detail}")
        ended = attempts(work(), folder, photo, first.answer, chosen.jobs)
        for done, attempt in enumerate(ended, 1):
            tally.add(kinds.pop(attempt.number), attempt)
            if chosen.keep.is_dir() and attempt.outcome not in (SAME, REFUSED):
                again = chosen.checksummed_anew
                content = mutated(original, chosen.seed, attempt.number, checksum=again)[1]
                (chosen.keep / f"{file.stem}-{attempt.number}{file.suffix}").write_bytes(content)
            yield done


def report_of(tallies: list[Tally], chosen: argparse.Namespace) -> dict[str, Any]:
    """Return all figures, with the versions that they belong to."""
    packages = ("edgecap-runtime", "ai-edge-litert", "onnxruntime", "numpy")
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {name: _version(name) for name in packages},
        "seed": chosen.seed,
        "mutations": chosen.mutations,
        "checksummed_anew": chosen.checksummed_anew,
        "files": [
            {
                "file": tally.file,
                "outcomes": {name: tally.outcomes[name] for name in OUTCOMES},
                "by_kind": {kind: dict(counts) for kind, counts in sorted(tally.by_kind.items())},
                "slowest_s": round(tally.slowest_s, 2),
                "peak_mb": round(tally.peak_mb),
                "failures": tally.failures,
            }
            for tally in tallies
        ],
    }


def main() -> int:
    """Run the command; returns its exit status."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    chosen = _arguments()
    prepare_parent()
    from edgecap_runtime.benching.photographs import synthetic_photograph

    photo = chosen.photo.read_bytes() if chosen.photo else synthetic_photograph()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    tallies = []
    # No thread of its own: one that holds a lock while the process forks would block the child.
    console = Console(stderr=True)
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        for file in chosen.files:
            task = progress.add_task(file.name, total=chosen.mutations)
            tally = Tally(str(file))
            tallies.append(tally)
            for done in fuzz(tally, photo, chosen):
                progress.update(task, completed=done, refresh=done % 20 == 0)
    report = report_of(tallies, chosen)
    if chosen.json:
        print(json.dumps(report, indent=1))
    else:
        _print_table(report)
    failed = any(tally.failed for tally in tallies) and not chosen.checksummed_anew
    return 1 if failed else 0


def _print_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    again = ", checksummed anew" if report["checksummed_anew"] else ""
    title = f"{report['mutations']} mutations of each file, seed {report['seed']}{again}"
    table = Table("file", *OUTCOMES, "slowest, s", "peak, MB", title=title)
    for item in report["files"]:
        counts = [str(item["outcomes"][name]) for name in OUTCOMES]
        name = Path(item["file"]).name
        table.add_row(name, *counts, str(item["slowest_s"]), str(item["peak_mb"]))
    console = Console()
    console.print(table)
    for item in report["files"]:
        for failure in item["failures"]:
            console.print(
                f"{Path(item['file']).name}, mutation {failure['mutation']} ({failure['kind']}): "
                f"{failure['outcome']}: {failure['detail']}",
                markup=False,
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="CAPTIONER")
    parser.add_argument("--mutations", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument(
        "--checksummed-anew",
        action="store_true",
        help="write the right checksum into each mutated file, as an attacker would",
    )
    parser.add_argument("--photo", type=Path, help="the photograph to caption (a generated one)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="attempts at once")
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path("fuzz-failures"),
        metavar="FOLDER",
        help="existing folder for the files that failed (fuzz-failures)",
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    chosen = parser.parse_args()
    for file in chosen.files:
        if not file.is_file():
            parser.error(f"there is no file {file}")
    if chosen.mutations < 1 or chosen.jobs < 1:
        parser.error("--mutations and --jobs are whole numbers of 1 or more")
    return chosen


def _memory_folder() -> str | None:
    """Return a folder in memory where there is one: thousands of files are written."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
