"""Builds the Go program in `tests/interop/judge`, once, into the repository's cache."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gobuild import REPOSITORY, build_program, run_go

_SOURCES: Final = REPOSITORY / "tests" / "interop" / "judge"
_PARTS: Final = _SOURCES / "ibc-go.txt"


@dataclass(frozen=True, slots=True)
class ModuleParts:
    """Files of a released Go module."""

    path: str
    version: str
    checksum: str
    """As in go.sum: of the whole module."""
    files: tuple[str, ...]


def build_judge() -> Path:
    """Build the program unless its sources were built before, and return its path.

    Raises:
      RuntimeError: Go is not installed, a module is not the released one, or the build failed.

    """
    return build_program(_SOURCES, _add_parts)


def _add_parts(folder: Path) -> None:
    """Add the files of ibc-go that the program is compiled with, once they are known to be the released ones."""
    parts = _read_parts()
    downloaded = json.loads(
        run_go("mod", "download", "-json", f"{parts.path}@{parts.version}", folder=folder.parent)
    )
    if downloaded["Sum"] != parts.checksum:
        raise RuntimeError(f"expected {parts.path} with checksum {parts.checksum}, got {downloaded['Sum']}")
    for name in parts.files:
        copy = folder / "ibc-go" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(downloaded["Dir"]) / name, copy)


def _read_parts() -> ModuleParts:
    lines = [line for line in _PARTS.read_text().splitlines() if not line.startswith("#")]
    path, version, checksum = lines[0].split()
    return ModuleParts(path, version, checksum, tuple(lines[1:]))
