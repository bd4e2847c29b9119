"""Makes what the tests on emulated devices need, in .devices: `make test-devices` runs this.

An arm64 Debian root for each system, the aarch64 wheels of the interpreters, the runtime's own
wheel, and four captioners. What is there already is kept; the runtime's wheel is always built anew.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from emulated import BOARDS, FOLDER, FULL, QEMU, SUITES

ROOT = Path(__file__).parents[2]
TOOLS = {QEMU: "qemu-user-static", "mmdebstrap": "mmdebstrap"}
PACKAGES = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
# Debian merged these into /usr; where nothing makes the links, the loader isn't found.
MERGED = ("bin", "lib", "sbin")
CAPTIONERS = FOLDER / "captioners"
EXPORTS = [
    (f"{recipe}.{suffix}", [*options, "--quantize", recipe])
    for suffix in ("tflite", "onnx")
    for recipe, options in (("float32", []), ("static-int8", ["--calibrate", "samples"]))
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--export", action="store_true", help="only export the captioners")
    if parser.parse_args().export:
        export()
        return
    need_tools()
    # The export computes while the rest loads from the network.
    exporting = start_export()
    try:
        for suite in SUITES if FULL else ["bookworm"]:
            make_root(suite)
            make_site(suite)
            make_boards(suite)
        make_app([suite for suite in SUITES if (FOLDER / suite / "site").exists()])
    except BaseException:
        if exporting is not None:
            exporting.kill()
        raise
    if exporting is not None and exporting.wait():
        sys.exit("error: the export of the captioners failed; see above.")


def need_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not missing:
        return
    how = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if os.geteuid() or shutil.which("apt-get") is None:
        sys.exit(f"error: {', '.join(missing)} are not installed; on Debian: sudo {how}")
    print(f"{how} ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "-qq", "update", env=quiet)
    run(*how.split(), "-qq", "-o", "DPkg::Lock::Timeout=120", env=quiet)


def make_root(suite: str) -> None:
    with made(FOLDER / suite / "root", f"{suite}: arm64 root") as target:
        if target is None:
            return
        run(
            "mmdebstrap", "--quiet", "--architectures=arm64", "--variant=extract",
            "--include=python3,libstdc++6", suite, str(target),
        )  # fmt: skip
        for name in MERGED:
            if not (target / name).exists():
                (target / name).symlink_to(f"usr/{name}")


def make_site(suite: str) -> None:
    with made(FOLDER / suite / "site", f"{suite}: aarch64 wheels") as target:
        if target is not None:
            install(suite, target, "-c", str(ROOT / "constraints.txt"), *PACKAGES)


def make_boards(suite: str) -> None:
    """Give each board a root of its own, whose programs are the suite's and whose cores aren't."""
    system = FOLDER / suite
    for core, board in BOARDS.items():
        for name in ("usr", "etc", *MERGED):
            link = system / core / name
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(Path("..") / "root" / name)
        for name, text in board.files().items():
            path = system / core / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def make_app(suites: list[str]) -> None:
    """Build the runtime's wheel and install it for each system, as `make wheel` and pip do."""
    print("the runtime's wheel ...", flush=True)
    work = FOLDER / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    # From a copy, for a build leaves its traces beside the sources.
    ignored = shutil.ignore_patterns("*.egg-info", "build", "web", "__pycache__")
    shutil.copytree(ROOT / "runtime", work / "runtime", ignore=ignored)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(work / "runtime"))
    (wheel,) = work.glob("edgecap_runtime-*.whl")
    for suite in suites:
        target = FOLDER / suite / "app"
        shutil.rmtree(target, ignore_errors=True)
        install(suite, target, str(wheel))


def install(suite: str, target: Path, *what: str) -> None:
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-compile", "--target", str(target), "--implementation", "cp",
        "--python-version", SUITES[suite], "--only-binary=:all:",
        *(word for name in PLATFORMS for word in ("--platform", name)), *what,
    )  # fmt: skip


def start_export() -> subprocess.Popen[bytes] | None:
    if stamp_file().exists():
        return None
    print("four captioners ...", flush=True)
    return subprocess.Popen([sys.executable, __file__, "--export"])


def export() -> None:
    """Export the captioner in the box in one process, so that Keras is loaded once."""
    from edgecap.cli import main as edgecap

    shutil.rmtree(CAPTIONERS, ignore_errors=True)
    CAPTIONERS.mkdir(parents=True)
    for name, options in EXPORTS:
        words = ["export", "mobilenet-lstm", "-o", str(CAPTIONERS / name), *options]
        # Its report is of no use here; what fails is an exception.
        with redirect_stdout(io.StringIO()):
            edgecap(words, standalone_mode=False)
    stamp_file().touch()


def stamp_file() -> Path:
    """Name a file that is there if the captioners were exported by the present code."""
    digest = hashlib.sha256()
    for folder in ("edgecap", "export/edgecap_export", "runtime/edgecap_runtime"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode())
                digest.update(path.read_bytes())
    return CAPTIONERS / f"{digest.hexdigest()[:16]}.stamp"


@contextmanager
def made(target: Path, title: str) -> Iterator[Path | None]:
    """Give a folder to fill, which becomes `target` when that went well; None if it's there."""
    if target.exists():
        yield None
        return
    print(f"{title} ...", flush=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    yield partial
    partial.rename(target)


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command, and show what it says only where it fails."""
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"{done.stdout}error: {command[0]} failed with status {done.returncode}; see above."
        )


if __name__ == "__main__":
    main()
