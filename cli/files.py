"""Writing of files that a user asked for."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from cli.errors import OutputExists

if TYPE_CHECKING:
    from pathlib import Path


def check_new(path: Path) -> None:
    """Check that a file can be made and overwrites no other; done before the work whose result it is to hold.

    Raises:
      OutputExists: there is a file.
      FileNotFoundError: there is no directory for it.

    """
    parent = path.absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))
    if path.exists():
        raise OutputExists(f"expected no file at {path}, got one")


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, complete or not at all.

    Raises:
      OutputExists: there is a file.
      OSError: it cannot be written.

    """
    check_new(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
