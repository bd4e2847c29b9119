"""Makes the systems that are emulated: a Debian root for each, wheels, and each board's own files.

What is there already is kept. Needs the network, mmdebstrap and pip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecap_bench.emulation.programs import MMDEBSTRAP
from edgecap_bench.emulation.systems import BOARDS, CHECKOUT, FOLDER, System
from edgecap_runtime.errors import EdgecapError

__all__ = ["extract", "made", "make_app", "make_system", "run"]

DEBIAN = "http://deb.debian.org/debian"
# Debian merged these into /usr; where nothing makes the links, the loader isn't found.
MERGED = ("bin", "lib", "sbin")


def make_system(system: System) -> None:
    """Make all of a system but the runtime."""
    make_root(system)
    make_site(system)
    make_boards(system)


def make_root(system: System) -> None:
    """Unpack Debian's packages, and link what only their installation would."""
    with made(system.root, f"{system.name}: {system.debian} root") as target:
        if target is None:
            return
        options = [f"--architectures={system.debian}"]
        extract(target, system.suite, *system.packages, options=options)
        for name in MERGED:
            if not (target / name).exists():
                (target / name).symlink_to(f"usr/{name}")
        # Debian's alternatives, BLAS and LAPACK: only an installation would link them.
        for library in target.glob("usr/lib/*/*/lib*.so.3"):
            link = library.parents[1] / library.name
            if not link.exists():
                link.symlink_to(Path(library.parent.name) / library.name)


def extract(target: Path, suite: str, *packages: str, options: Iterable[str] = ()) -> None:
    """Unpack Debian's packages and what they depend on, and install nothing."""
    names = f"--include={','.join(packages)}"
    # Without the security updates, whose index is now and then half a day behind itself.
    run(
        MMDEBSTRAP, "--quiet", "--variant=extract", *options, names, suite, str(target), DEBIAN,
    )  # fmt: skip


def make_site(system: System) -> None:
    """Install the wheels of the interpreters and what they need."""
    with made(system.folder / "site", f"{system.name}: wheels") as target:
        if target is not None:
            install(system, target, "-c", str(CHECKOUT / "constraints.txt"), *system.wheels)


def make_boards(system: System) -> None:
    """Give each board a root of its own, whose programs are the system's and whose cores aren't."""
    for core, board in BOARDS.items():
        if system.name not in board.systems:
            continue
        for name in ("usr", "etc", *MERGED):
            link = system.folder / core / name
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(Path("..") / "root" / name)
        for name, text in board.files().items():
            path = system.folder / core / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def make_app(systems: list[System]) -> None:
    """Build the runtime's wheel and install it for each system, as `make wheel` and pip do."""
    if not systems:
        return
    print("the runtime's wheel ...", flush=True)
    work = FOLDER / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    # From a copy, for a build leaves its traces beside the sources.
    ignored = shutil.ignore_patterns("*.egg-info", "build", "web", "embedding", "__pycache__")
    shutil.copytree(CHECKOUT / "runtime", work / "runtime", ignore=ignored)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(work / "runtime"))
    (wheel,) = work.glob("edgecap_runtime-*.whl")
    for system in systems:
        target = system.folder / "app"
        shutil.rmtree(target, ignore_errors=True)
        install(system, target, str(wheel))


def install(system: System, target: Path, *what: str) -> None:
    """Install wheels for a system in a folder."""
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-compile", "--target", str(target), "--implementation", "cp",
        "--python-version", system.python, "--only-binary=:all:",
        *(word for name in system.platforms for word in ("--platform", name)), *what,
    )  # fmt: skip


@contextmanager
def made(target: Path, title: str) -> Iterator[Path | None]:
    """Yield a folder to fill, which becomes `target` when that went well; None if it's there."""
    if target.exists():
        yield None
        return
    print(f"{title} ...", flush=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    yield partial
    partial.rename(target)


def run(*command: str, env: dict[str, str] | None = None, folder: Path = CHECKOUT) -> None:
    """Run a command; raises `EdgecapError` with what it said where it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EdgecapError(
            f"{command[0]} failed with status {done.returncode}; it said:\n{done.stdout.strip()}"
        )
