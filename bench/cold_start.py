"""What one checkout's runtime costs beside another's: cold start and peak memory of a file.

    python bench/cold_start.py --before OLD_CHECKOUT captioner.tflite captioner.onnx --rounds 20

Each start is a process of its own that imports the runtime, loads the file and says one caption;
the two runtimes take turns, and the median of the paired ratios is printed. A checkout is a folder
with runtime/edgecap_runtime in it: `git worktree add OLD_CHECKOUT COMMIT` makes one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

_CHILD = """
import json, sys, time
begun = time.perf_counter()
from edgecap_runtime import Captioner
from edgecap_runtime.benching.photographs import synthetic_photograph
imported = time.perf_counter()
captioner = Captioner.load(sys.argv[1], int(sys.argv[2]))
loaded = time.perf_counter()
caption = captioner.caption(synthetic_photograph())
said = time.perf_counter()
memory = {}
try:
    for line in open("/proc/self/status"):
        if line.startswith(("VmHWM", "VmRSS", "RssAnon")):
            memory[line.partition(":")[0]] = int(line.split()[1]) / 1000
except OSError:
    pass
print(json.dumps({"load_ms": (loaded - imported) * 1e3, "start_ms": (said - begun) * 1e3,
                  "text": caption.text, **memory}))
"""

_MEASURES = ("process_ms", "start_ms", "load_ms", "VmHWM", "VmRSS", "RssAnon")


def main() -> None:
    """Measure and print one line a file and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="CAPTIONER")
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--after", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    for file in chosen.files:
        pairs = []
        for number in range(chosen.rounds + 1):
            turn = (-1) ** number
            order = (chosen.before, chosen.after)[::turn]
            pairs.append([_start(folder, file, chosen.threads) for folder in order][::turn])
        pairs = pairs[1:]  # the first brings the file into memory
        if len({one["text"] for pair in pairs for one in pair}) > 1:
            sys.exit(f"{file}: the two say different captions")
        print(f"{file.name} ({file.stat().st_size / 1e6:.1f} MB)")
        for name in _MEASURES:
            if name in pairs[0][0]:
                old, new = ([pair[side][name] for pair in pairs] for side in (0, 1))
                ratio = median(b / a for a, b in zip(old, new, strict=True))
                difference = median(b - a for a, b in zip(old, new, strict=True))
                print(
                    f"  {name:10} before {median(old):7.1f}  after {median(new):7.1f}  "
                    f"ratio {ratio:.3f}  difference {difference:+.1f}"
                )


def _start(folder: Path, file: Path, threads: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder.resolve() / "runtime"),
        "PYTHONDONTWRITEBYTECODE": "",  # compiled once, as an installed runtime is
    }
    begun = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(file), str(threads)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{folder} with {file}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "process_ms": (perf_counter() - begun) * 1e3}


if __name__ == "__main__":
    main()
