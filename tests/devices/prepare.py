"""Makes what the tests on devices need: `make test-devices` runs this.

An ARM Debian root for each system, the wheels of the interpreters and the runtime's own; npm's
packages; ONNX Runtime's header for C; exported captioners. It stands in .devices, the captioners of
the browser's tests in tests/web/build. What is there already is kept; the runtime's wheel is always
built anew. What can't be had for want of a program is said and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from tools import EMBEDDING, FULL, ROOT

from edgecap_bench.emulation.programs import (
    APT,
    MMDEBSTRAP,
    WEB,
    no_browser,
    no_node,
    no_system,
)
from edgecap_bench.emulation.roots import extract, made, make_app, make_system, run
from edgecap_bench.emulation.systems import FOLDER, SYSTEMS
from edgecap_runtime.errors import EdgecapError

CAPTIONERS = FOLDER / "captioners"
HEADERS = FOLDER / "onnxruntime"
WEB_CAPTIONERS = ROOT / "tests" / "web" / "build"
CALIBRATED = ("--calibrate", "samples")
EXPORTS = [
    *(
        (f"{recipe}.{suffix}", "mobilenet-lstm", recipe, options)
        for suffix in ("tflite", "onnx")
        for recipe, options in (("float32", ()), ("static-int8", CALIBRATED))
    ),
    # qemu takes long for a float encoder of x86-64, so a small one.
    *((f"dynamic-int8.nano.{suffix}", "nano", "dynamic-int8", ()) for suffix in ("tflite", "onnx")),
    ("compat.tflite", "mobilenet-lstm", "compat", CALIBRATED),
    *(
        (f"{recipe}.attention.tflite", "mobilenet-attention", recipe, CALIBRATED)
        for recipe in ("static-int8", "compat")
    ),
]
"""Files, with the captioner in the box, the recipe, and more options of `edgecap export`."""
DEMO_CAPTIONER = "mobilenet-attention"
DEMO_PHOTOS = 4
"""How many of the samples the demo's files caption on an emulated processor in the quick run."""
PACKAGES = ("edgecap", "export/edgecap_export", "runtime/edgecap_runtime")
CODE = (*PACKAGES, "tests/devices/prepare.py")
WEB_CODE = (*PACKAGES, "tests/web/make_golden.py", "tests/export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--export", action="store_true", help="only export the captioners")
    parser.add_argument("--export-web", action="store_true", help="only those of the web's tests")
    parser.add_argument("--systems", action="store_true", help="only make the emulated systems")
    chosen = parser.parse_args()
    if chosen.systems:
        make_systems()
    elif chosen.export:
        export()
    elif chosen.export_web:
        export_web()
    else:
        prepare()


def prepare() -> None:
    install_programs()
    # The exports compute while the rest loads from the network.
    exporting = [start_export("--export", "captioners for the devices", stamp(CAPTIONERS, CODE))]
    if no_browser() is None:
        stamped = stamp(WEB_CAPTIONERS, WEB_CODE)
        exporting.append(start_export("--export-web", "captioners for the browser", stamped))
    try:
        if no_node() is None:
            install_javascript(WEB)
            install_javascript(EMBEDDING, "--ignore-scripts")
        make_header()
        make_systems()
        make_app([system for system in SYSTEMS.values() if (system.folder / "site").exists()])
    except BaseException:
        for process in exporting:
            if process is not None:
                process.kill()
        raise
    statuses = [process.wait() for process in exporting if process is not None]
    if any(statuses):
        sys.exit("error: an export of captioners failed; see above.")


def make_systems() -> None:
    for system in SYSTEMS.values():
        if (FULL or not system.full_run_only) and no_system(system) is None:
            make_system(system)


def install_programs() -> None:
    """Install what is missing where that can be done; else say how."""
    missing = sorted({package for tool, package in APT.items() if shutil.which(tool) is None})
    # Chromium may have another name or place.
    if no_browser() is None and "chromium" in missing:
        missing.remove("chromium")
    if no_node() is not None:
        print(f"The tests of JavaScript are skipped: {no_node()}.", flush=True)
    if not missing:
        return
    how = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if os.geteuid() or shutil.which("apt-get") is None:
        names = ", ".join(missing)
        print(f"The tests that need {names} are skipped; on Debian: sudo {how}", flush=True)
        return
    print(f"{how} ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "-qq", "update", env=quiet)
    run(*how.split(), "-qq", "-o", "DPkg::Lock::Timeout=120", env=quiet)


def install_javascript(folder: Path, *options: str) -> None:
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
        return
    print(f"{folder.relative_to(ROOT)}: packages of npm ...", flush=True)
    run("npm", "ci", "--no-audit", "--no-fund", *options, folder=folder)


def make_header() -> None:
    """Get ONNX Runtime's header of Debian 13, for the sample in C; the library is the wheel's."""
    if shutil.which(MMDEBSTRAP) is None:
        return
    with made(HEADERS, "ONNX Runtime's header") as target:
        if target is None:
            return
        root = target.with_name("headers.root")
        shutil.rmtree(root, ignore_errors=True)
        extract(root, "trixie", "libonnxruntime-dev")
        shutil.copytree(root / "usr" / "include" / "onnxruntime", target)
        shutil.rmtree(root)


def start_export(option: str, title: str, stamped: Path) -> subprocess.Popen[bytes] | None:
    if stamped.exists():
        return None
    print(f"{title} ...", flush=True)
    return subprocess.Popen([sys.executable, __file__, option])


def export() -> None:
    """Export captioners in the box in one process, so that Keras is loaded once."""
    from edgecap.cli import main as edgecap

    shutil.rmtree(CAPTIONERS, ignore_errors=True)
    CAPTIONERS.mkdir(parents=True)
    for name, captioner, recipe, options in EXPORTS:
        words = ["export", captioner, "-o", str(CAPTIONERS / name), "--quantize", recipe, *options]
        # Its report is of no use here; what fails is an exception.
        with redirect_stdout(io.StringIO()):
            edgecap(words, standalone_mode=False)
    export_demo(CAPTIONERS / "demo")
    stamp(CAPTIONERS, CODE).touch()


def export_demo(folder: Path) -> None:
    """Export what `edgecap demo` does, and what Keras says of some samples: see `forced`.

    A target that is refused here leaves no file, which its test finds.
    """
    from edgecap.box import find_run, sample_photos
    from edgecap.captioner import TrainedCaptioner
    from edgecap.exporting import CalibrationPhotos, ParityImages, bleu4_difference
    from edgecap.targets import export_targets
    from edgecap_export import Prover

    folder.mkdir()
    run = find_run(DEMO_CAPTIONER)
    export_targets(
        run,
        folder,
        images=ParityImages.choose(data=None, split="", photos=None, limit=0),
        calibrate=CalibrationPhotos.samples(count=len(sample_photos()), seed=0),
        scorer=bleu4_difference,
        progress=lambda stage, done, total: None,
    )
    source = TrainedCaptioner.load(run).source()
    photos = sample_photos()
    prover = Prover(source, photos if FULL else photos[:DEMO_PHOTOS])
    captions = prover.reference.greedy
    words = np.full((len(captions), max(map(len, captions))), -1, np.int32)
    expected = np.zeros((len(captions), words.shape[1] + 1, len(source.vocabulary)))
    for index, caption in enumerate(captions):
        words[index, : len(caption)] = caption
        features = prover.reference.features[index : index + 1]
        rows = prover.model.log_probabilities(features, np.array([caption], np.int32))[0]
        expected[index, : len(rows)] = rows
    np.savez(
        folder / "keras.npz",
        pixels=prover.pictures.pixels,
        words=words,
        log_probabilities=expected,
    )


def export_web() -> None:
    """Export what the tests in the browser caption with, and what Python says with it."""
    shutil.rmtree(WEB_CAPTIONERS, ignore_errors=True)
    options = ["--models", str(WEB_CAPTIONERS), "--onnx", str(WEB_CAPTIONERS / "onnx")]
    run(sys.executable, str(ROOT / "tests" / "web" / "make_golden.py"), *options)
    stamp(WEB_CAPTIONERS, WEB_CODE).touch()


def stamp(folder: Path, code: Iterable[str]) -> Path:
    """Name a file that is in the folder if its captioners were exported by the present code."""
    digest = hashlib.sha256()
    for place in code:
        found = ROOT / place
        for path in [found] if found.is_file() else sorted(found.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode())
                digest.update(path.read_bytes())
    return folder / f"{digest.hexdigest()[:16]}.stamp"


if __name__ == "__main__":
    try:
        main()
    except EdgecapError as problem:
        sys.exit(f"error: {problem}")
