"""Builds the Go program in `tests/interop/judge`, once, into the repository's cache."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_REPOSITORY: Final = Path(__file__).parents[2]
_SOURCES: Final = _REPOSITORY / "tests" / "interop" / "judge"
_PARTS: Final = _SOURCES / "ibc-go.txt"
_CACHE: Final = _REPOSITORY / ".cache" / "interop"
_OWN_GO: Final = _REPOSITORY / ".tools" / "go" / "bin" / "go"


@dataclass(frozen=True, slots=True)
class ModuleParts:
    """Files of a released Go module."""

    path: str
    version: str
    checksum: str
    """As in go.sum: of the whole module."""
    files: tuple[str, ...]


def build_program() -> Path:
    """Build the program unless its sources were built before, and return its path.

    Raises:
      RuntimeError: Go is not installed, a module is not the released one, or the build failed.

    """
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in {".go", ".mod", ".sum", ".txt"})
    content = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in sources)
    program = _CACHE / f"judge-{sha256(content).hexdigest()[:16]}"
    if program.exists():
        return program
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "judge.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # several test processes may want it at once: one builds, the others wait
        if not program.exists():
            _build(sources, program)
    return program


def _build(sources: list[Path], program: Path) -> None:
    with TemporaryDirectory(dir=_CACHE) as name:
        folder = Path(name)
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        _copy_parts(_read_parts(), folder / "ibc-go")
        _run_go("build", "-mod=readonly", "-ldflags=-s -w", "-o", "judge", ".", folder=folder)
        (folder / "judge").replace(program)


def _read_parts() -> ModuleParts:
    lines = [line for line in _PARTS.read_text().splitlines() if not line.startswith("#")]
    path, version, checksum = lines[0].split()
    return ModuleParts(path, version, checksum, tuple(lines[1:]))


def _copy_parts(parts: ModuleParts, target: Path) -> None:
    """Copy files of a module from the module cache, once it is known to be the released one."""
    downloaded = json.loads(
        _run_go("mod", "download", "-json", f"{parts.path}@{parts.version}", folder=_CACHE)
    )
    if downloaded["Sum"] != parts.checksum:
        raise RuntimeError(f"expected {parts.path} with checksum {parts.checksum}, got {downloaded['Sum']}")
    for name in parts.files:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(downloaded["Dir"]) / name, copy)


def _run_go(*arguments: str, folder: Path) -> str:
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
    if _OWN_GO.exists():
        return str(_OWN_GO)
    raise RuntimeError("these tests need Go 1.25 or later: run the set-up command of the README")
