"""Files that survive a crash, and the operating system's errors as errors of ours."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from abci_app.errors import CorruptState, DiskFull, HomeLocked, NodeError, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ROOM_TEXTS: Final = tuple(os.strerror(number) for number in sorted(_NO_ROOM))


def storage_error(action: str, error: Exception) -> NodeError:
    """Return the error of ours for one of the operating system or of a database library.

    The libraries hand on messages only, so those are what the cause is told by.
    """
    text = str(error)
    no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
    if no_room or any(message in text for message in _NO_ROOM_TEXTS):
        return DiskFull(f"expected room on the disk to {action}, got: {text}")
    if "Corruption:" in text:
        return CorruptState(f"expected to {action}, got: {text}")
    if "IO error" in text and "lock" in text and "/LOCK: " in text:
        return HomeLocked(f"expected to {action} alone, got: {text}")
    return StorageFailed(f"expected to {action}, got: {text}")


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Raise `DiskFull` or `StorageFailed` for an `OSError` inside; `action` completes "expected to ...".

    Raises:
      DiskFull: there was no room on the disk.
      StorageFailed: the operating system failed for another reason.

    """
    try:
        yield
    except OSError as error:
        raise storage_error(action, error) from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes at the descriptor's position; a nearly full disk takes only a part in one call."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: Path) -> None:
    """Make the creation and removal of files in a directory survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Write a small file as a whole or not at all.

    Raises:
      DiskFull: there was no room on the disk.
      StorageFailed: the operating system failed for another reason.

    """
    draft = path.with_name(path.name + ".new")
    with storage_errors(f"write {path}"):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
        sync_directory(path.parent)
