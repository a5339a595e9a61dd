"""Builds a Go program of the repository, once, into its cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY: Final = Path(__file__).parents[1]
CACHE: Final = REPOSITORY / ".cache" / "interop"
OWN_GO: Final = REPOSITORY / ".tools" / "go" / "bin" / "go"
SUFFIXES: Final = frozenset({".go", ".mod", ".sum", ".txt"})


def build_program(folder: Path, prepare: Callable[[Path], None] | None = None) -> Path:
    """Build the program in a folder unless its sources were built before, and return its path.

    `prepare` may add files to the copy of the sources that is built.

    Raises:
      RuntimeError: Go is not installed, or the build failed.

    """
    sources = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    content = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in sources)
    program = CACHE / f"{folder.name}-{sha256(content).hexdigest()[:16]}"
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        # Several processes may want it at once: one builds, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(sources, program, prepare)
    return program


def _build(sources: list[Path], program: Path, prepare: Callable[[Path], None] | None) -> None:
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        if prepare is not None:
            prepare(folder)
        run_go("build", "-mod=readonly", "-ldflags=-s -w", "-o", "program", ".", folder=folder)
        (folder / "program").replace(program)


def run_go(*arguments: str, folder: Path) -> str:
    """Run the Go command in a folder and return what it prints.

    Raises:
      RuntimeError: Go is not installed, or the command failed.

    """
    # As CometBFT is built by the set-up, so that what both need is compiled once.
    environment = dict(os.environ) | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    done = subprocess.run(
        [_find_go(), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"`go {' '.join(arguments)}` failed:\n{done.stderr}{done.stdout}")
    return done.stdout


def _find_go() -> str:
    if shutil.which("go") is not None:
        return "go"
    if OWN_GO.exists():
        return str(OWN_GO)
    raise RuntimeError("expected Go 1.25 or later, got none: run the set-up command of the README")
