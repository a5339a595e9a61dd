"""The directory of a demo, a soak or the benchmarks: emptied before each run, so it must be of that kind, and no other run's."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from localnet.errors import DemoRunning, DirectoryNotOurs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME: Final = "demo.lock"
"""Made by every run: it marks a directory as the demo's, and is locked while a run goes on."""


@contextmanager
def claim_directory(directory: Path) -> Iterator[None]:
    """Empty a directory and keep it to this run.

    Raises:
      DirectoryNotOurs: it holds something, and no earlier run has marked it.
      DemoRunning: another run goes on there.

    """
    directory.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in directory.iterdir())
    if names and LOCK_NAME not in names:
        raise DirectoryNotOurs(
            f"expected {directory} to be empty or left by an earlier run, got {names[0]} in it"
        )
    with (directory / LOCK_NAME).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoRunning(f"expected no other run in {directory}, got one that runs") from None
        for path in directory.iterdir():
            if path.name != LOCK_NAME:
                _remove(path)
        yield


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
